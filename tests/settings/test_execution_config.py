"""Each execution setting refuses what it cannot be, with a sentence; some refuse each other."""

from typing import Any

import pytest

from ptychopinn_plugin import (
    ConfigError,
    ExecutionConfig,
    create_inference_config,
    create_training_config,
)
from ptychopinn_plugin.backends.registry import with_backend
from tests.helpers import make_scan

REFUSED: list[tuple[str, Any, str]] = [
    ('backend', 'jax', "backend: input should be 'tensorflow' or 'pytorch', got 'jax'"),
    ('accelerator', 'tpu', "'auto', 'cpu', 'cuda' or 'mps', got 'tpu'"),
    ('devices', 0, 'devices: input should be greater than or equal to 1, got 0'),
    ('devices', 'two', 'valid integer'),
    ('num_nodes', 0, 'num_nodes: input should be greater'),
    ('strategy', 'horovod', "'auto', 'ddp' or 'fsdp', got 'horovod'"),
    ('threads', -1, 'threads: input should be greater'),
    ('num_workers', -1, 'num_workers: input should be greater'),
    ('num_workers', 1.5, 'num_workers: .*integer'),
    ('deterministic', 'perhaps', 'deterministic: .*boolean'),
    ('learning_rate', -1e-3, 'learning_rate: input should be greater'),
    ('learning_rate', 2.0, 'learning_rate: input should be less'),
    ('learning_rate', float('nan'), 'learning_rate: .*got nan'),
    ('scheduler', 'Cosine', "'Default', 'Exponential', 'WarmupCosine' or 'ReduceLROnPlateau'"),
    ('gradient_clip_val', -1.0, 'gradient_clip_val: input should be greater'),
    ('gradient_clip_val', float('inf'), 'gradient_clip_val: input should be less'),
    ('accum_steps', 0, 'accum_steps: input should be greater'),
    ('enable_checkpointing', 3, 'enable_checkpointing: .*boolean'),
    ('checkpoint_save_top_k', -1, 'checkpoint_save_top_k: input should be greater'),
    ('checkpoint_monitor_metric', 'accuracy', "'val_loss' or 'train_loss', got 'accuracy'"),
    ('early_stop_patience', 0, 'early_stop_patience: input should be greater'),
    ('inference_batch_size', -1, 'inference_batch_size: input should be greater'),
    ('inference_precision', 'int8', "'float32' or 'bfloat16', got 'int8'"),
    ('training_precision', 'float16', "'float32' or 'bfloat16', got 'float16'"),
    ('logger', 'wandb', "'csv', 'tensorboard', 'mlflow' or 'none', got 'wandb'"),
]


@pytest.mark.parametrize(('name', 'value', 'sentence'), REFUSED)
def test_a_wrong_value_is_refused_with_a_sentence(name: str, value: Any, sentence: str) -> None:
    is_for_training = not name.startswith('inference_')
    create: Any = create_training_config if is_for_training else create_inference_config
    architecture = 'cnn' if name.endswith('_precision') or not is_for_training else 'unrolled'
    with pytest.raises(ConfigError, match=sentence) as caught:
        create(make_scan(side=2), architecture=architecture, **{name: value})
    assert str(caught.value).startswith(f'explicit: {name}: ')
    with pytest.raises(ValueError, match=name):
        ExecutionConfig(**{name: value})


def test_no_field_is_forgotten_above() -> None:
    assert {name for name, _, _ in REFUSED} == set(ExecutionConfig.model_fields)


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({'strategy': 'fsdp', 'accelerator': 'cpu'}, "accelerator is 'cpu'; take accelerator"),
        ({'strategy': 'fsdp', 'accelerator': 'mps'}, "accelerator is 'mps'"),
        ({'accelerator': 'mps', 'devices': 2}, "'mps' is one device, but devices is 2"),
        ({'accelerator': 'mps', 'num_nodes': 3}, 'num_nodes 3; set both to 1'),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        ExecutionConfig(**values)
    with pytest.raises(ConfigError, match=sentence):
        create_training_config(make_scan(side=2), **values)


@pytest.mark.parametrize(
    'values',
    [
        {'strategy': 'fsdp'},
        {'strategy': 'fsdp', 'accelerator': 'cuda', 'devices': 4},
        {'strategy': 'ddp', 'accelerator': 'cpu', 'devices': 2, 'num_nodes': 2},
        {'accelerator': 'mps'},
    ],
)
def test_settings_that_go_together_are_taken(values: dict[str, Any]) -> None:
    execution = ExecutionConfig(backend='pytorch', **values)
    assert with_backend(execution, None) == execution


@pytest.mark.parametrize(
    'values', [{'devices': 2}, {'num_nodes': 2}, {'strategy': 'ddp'}, {'strategy': 'fsdp'}]
)
def test_tensorflow_is_not_chosen_for_several_devices(values: dict[str, Any]) -> None:
    name = next(iter(values))
    with pytest.raises(ConfigError, match=f'TensorFlow backend selected with "{name} = '):
        with_backend(ExecutionConfig(**values), 'tensorflow')
    assert getattr(with_backend(ExecutionConfig(**values), 'pytorch'), name) == values[name]
