"""Settings without effect on a run: refused where typed, remarked on where a file has them."""

from pathlib import Path
from typing import Any

import pytest

from ptychopinn_plugin import ConfigError, create_inference_config, create_training_config
from ptychopinn_plugin.config import (
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.base import field_traits, help_text
from ptychopinn_plugin.config.unused_fields import with_architecture_defaults, without_unused
from tests.helpers import make_scan

SCAN = make_scan(side=2)


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        ({'model_type': 'supervised'}, "model_type has an effect with the architecture 'cnn' only"),
        ({'gridsize': 2}, 'gridsize has an effect'),  # the default, but typed
        ({'batch_size': 8}, "or set architecture to 'cnn'"),
        ({'n_groups': 64}, 'n_groups has an effect'),
        ({'architecture': 'cnn', 'width': 16}, "'unrolled' only, not with 'cnn'"),
        ({'architecture': 'cnn', 'steps_per_epoch': 16}, 'steps_per_epoch has an effect'),
        ({'inference_batch_size': 4}, 'inference_batch_size has an effect on a reconstruction'),
    ],
)
def test_a_training_refuses_typed_settings_without_effect(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        create_training_config(SCAN, **settings)


@pytest.mark.parametrize(
    ('architecture', 'settings', 'sentence'),
    [
        (None, {'closing_stage': False}, "the architecture 'unrolled' only, and there is no model"),
        (None, {'cnn_refine_iterations': 2}, 'cnn_refine_iterations has an effect'),
        ('unrolled', {'cnn_refine_iterations': 2}, 'cnn_refine_iterations has an effect'),
        ('cnn', {'closing_stage': False}, 'closing_stage has an effect'),
        ('cnn', {'refine_iterations': 8}, 'no effect .* set cnn_refine_iterations instead'),
        (None, {'learning_rate': 1e-3}, 'learning_rate has an effect on a training only'),
        ('cnn', {'num_workers': 2}, 'num_workers has an effect on a training only'),
    ],
)
def test_a_reconstruction_refuses_typed_settings_without_effect(
    architecture: Any, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        create_inference_config(SCAN, architecture=architecture, **settings)


def test_every_setting_without_effect_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        create_training_config(SCAN, gridsize=1, batch_size=4, epochs=0)
    assert len(caught.value.faults) == 3


def test_a_file_may_serve_both_architectures_and_jobs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / 's.toml'
    path.write_text('learning_rate = 1e-3\n[model]\nmodel_type = "supervised"\nwidth = 16\n')
    run = create_training_config(SCAN, config_file=path)
    # What has no effect is not recorded either.
    assert (run.model.model_type, run.model.width) == ('pinn', 16)
    assert "s.toml: model_type has an effect with the architecture 'cnn' only" in caplog.text
    assert 'width' not in caplog.text
    caplog.clear()
    create_inference_config(SCAN, config_file=path)
    assert caplog.text == ''


def test_a_config_loses_the_fields_of_the_other_architecture() -> None:
    model = ModelConfig(architecture='unrolled', gridsize=1, width=16)
    kept = without_unused(model, 'unrolled')
    assert (kept.gridsize, kept.width) == (2, 16)
    assert without_unused(model, 'cnn').width == 32


def test_the_default_of_epochs_is_that_of_the_architecture(tmp_path: Path) -> None:
    assert create_training_config(SCAN).training.epochs == 8
    assert create_training_config(SCAN, architecture='cnn').training.epochs == 60
    assert create_training_config(SCAN, architecture='cnn', epochs=8).training.epochs == 8
    (tmp_path / 's.toml').write_text('architecture = "cnn"\n')
    run = create_training_config(SCAN, config_file=tmp_path / 's.toml')
    assert run.training.epochs == 60
    assert with_architecture_defaults(TrainingConfig(), 'cnn').epochs == 60
    assert with_architecture_defaults(TrainingConfig(epochs=8), 'cnn').epochs == 8
    assert with_architecture_defaults(TrainingConfig(), 'unrolled').epochs == 8


def test_the_traits_of_a_field_are_in_its_help() -> None:
    assert help_text(TrainingConfig.model_fields['epochs']).endswith(' (cnn: 60)')
    assert help_text(ExecutionConfig.model_fields['logger']).endswith(' (training only)')
    assert '(cnn only; reconstruction only)' in help_text(
        ExecutionConfig.model_fields['inference_batch_size']
    )


def test_what_stands_in_place_of_a_field_is_a_field() -> None:
    for config in (ModelConfig, TrainingConfig, InferenceConfig, ExecutionConfig):
        for info in config.model_fields.values():
            traits = field_traits(info)
            if traits.instead:
                other = field_traits(config.model_fields[traits.instead])
                assert other.architecture == traits.unused_by is not None
