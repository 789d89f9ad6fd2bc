"""Both backends have the same files, and the same names in them, but for listed exceptions."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TypeGuard, get_args

import pytest

import ptychopinn_plugin.backends
from ptychopinn_plugin.config import ModelConfig

BACKENDS = Path(ptychopinn_plugin.backends.__file__).parent
# Files that only one backend needs.
EXTRA_FILES = {
    'pytorch': {'lightning_module.py', 'loader_processes.py', 'process_group.py'},
    'tensorflow': {'activations.py', 'prefetch.py', 'quiet_import.py', 'signatures.py', 'xla.py'},
}
# Public names that only one backend needs, by file; Lightning does what the others do by hand.
EXTRA_NAMES = {
    'pytorch': {
        '__init__.py': {'PyTorchEngine'},
        'engine.py': {'PyTorchEngine'},
        'ops.py': {'SolverOps', 'TorchOps', 'solver_ops', 'tensor_ops'},
        # Tensors share their memory with NumPy's arrays: each call may turn one into the other.
        'cpu_ops.py': {'LARGE_PATCH', 'TorchCpuOps', 'on_numpy', 'prepare_worker', 'suits'},
        'devices.py': {'check_device_count', 'pytorch_threads', 'share_of_threads'},
        'checkpoint.py': {
            'CheckpointEveryEpoch',
            'CheckpointFiles',
            'HISTORY',
            'find_checkpoint',
            'history_state',
            'restore_history',
        },
        'loggers.py': {'CsvLosses'},
        'optimizer.py': {'UNDECAYED'},
        'training_loop.py': {'HistoryCallback', 'quiet_lightning'},
        # Keras' layers stay in dictionaries, for their names to be those of a model file.
        'unrolled_network.py': {'Level', 'Residual'},
    },
    'tensorflow': {
        '__init__.py': {'TensorFlowEngine'},
        'engine.py': {'TensorFlowEngine'},
        'ops.py': {'TensorFlowOps'},
        'cpu_ops.py': {
            'MOST_THREADS',
            'SolverOps',
            'TensorFlowCpuOps',
            # `TorchOps` have the threads of PyTorch, and a method that keeps them.
            'batches_on_cores',
            'solver_ops',
            'thread_count',
        },
        'devices.py': {'configure_runtime', 'memory_limit'},
        'checkpoint.py': {
            'Network',
            'OLDER_NAME',
            'SUFFIX',
            'TrainingState',
            'load_checkpoint',
            'save_checkpoint',
        },
        'loggers.py': {'Logger'},
        'optimizer.py': {'AdamW', 'apply_pending_gradients'},
        'training_loop.py': {'Training'},
        # torch.nn has these.
        'unrolled_network.py': {'channels_to_pixels', 'pixels_to_channels'},
    },
}


def files(backend: str) -> set[str]:
    return {path.name for path in (BACKENDS / backend).glob('*.py')}


def public_names(path: Path) -> set[str]:
    """Return the public names that a module defines itself, and those of its `__all__`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found = {one.id for target in targets for one in ast.walk(target) if is_name(one)}
            names |= found
            if found == {'__all__'} and node.value is not None:
                names |= set(ast.literal_eval(node.value))
    # A logger is every module's own.
    return {name for name in names - {'logger'} if not name.startswith('_')}


def is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def test_both_backends_have_the_same_files() -> None:
    pytorch, tensorflow = files('pytorch'), files('tensorflow')
    assert pytorch - tensorflow == EXTRA_FILES['pytorch']
    assert tensorflow - pytorch == EXTRA_FILES['tensorflow']


@pytest.mark.parametrize('name', sorted(files('pytorch') & files('tensorflow')))
def test_files_of_the_same_name_define_the_same_names(name: str) -> None:
    pytorch, tensorflow = (
        public_names(BACKENDS / backend / name) for backend in ('pytorch', 'tensorflow')
    )
    assert pytorch - tensorflow == EXTRA_NAMES['pytorch'].get(name, set())
    assert tensorflow - pytorch == EXTRA_NAMES['tensorflow'].get(name, set())


@pytest.mark.pytorch
def test_pytorch_has_an_entry_for_each_architecture() -> None:
    from ptychopinn_plugin.backends.pytorch.engine import INFERENCES
    from ptychopinn_plugin.backends.pytorch.fit import FITS

    assert set(FITS) == set(INFERENCES) == architectures()


@pytest.mark.tensorflow
def test_tensorflow_has_an_entry_for_each_architecture() -> None:
    from ptychopinn_plugin.backends.tensorflow.engine import INFERENCES
    from ptychopinn_plugin.backends.tensorflow.fit import FITS

    assert set(FITS) == set(INFERENCES) == architectures()


def architectures() -> set[str]:
    return set(get_args(ModelConfig.model_fields['architecture'].annotation))


@pytest.mark.parametrize('backend', ['pytorch', 'tensorflow'])
def test_no_file_of_a_backend_compares_architectures(backend: str) -> None:
    """The tables are the only places that name an architecture."""
    for path in (BACKENDS / backend).glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                compared = {
                    one.value
                    for one in (node.left, *node.comparators)
                    if isinstance(one, ast.Constant)
                }
                assert not compared & architectures(), f'{path.name}:{node.lineno}'
