"""Modules that `import ptychopinn_plugin` must not load, and its duration."""

import json
import statistics
import subprocess
import sys
import time

import pytest

HEAVY = ('torch', 'tensorflow', 'lightning', 'ptychodus', 'matplotlib', 'scipy', 'pydantic')


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_import_loads_no_heavy_package() -> None:
    code = 'import json, sys, ptychopinn_plugin; print(json.dumps(list(sys.modules)))'
    loaded = {name.partition('.')[0] for name in json.loads(run_python(code))}
    assert 'ptychopinn_plugin' in loaded
    assert loaded.isdisjoint(HEAVY)


def test_import_costs_little_more_than_numpy() -> None:
    def seconds(code: str) -> float:
        start = time.perf_counter()
        run_python(code)
        return time.perf_counter() - start

    # Taken in turns, so that a busy machine slows both alike.
    extra = [seconds('import numpy, ptychopinn_plugin') - seconds('import numpy') for _ in range(5)]
    assert statistics.median(extra) < 0.2


@pytest.mark.pytorch
def test_lightning_and_the_compiler_are_imported_when_needed() -> None:
    code = (
        'import sys\n'
        'from ptychopinn_plugin.config import ExecutionConfig\n'
        'from ptychopinn_plugin.backends import engine_class\n'
        'from ptychopinn_plugin.backends.pytorch.devices import computing\n'
        "engine_class('pytorch')\n"
        'with computing(ExecutionConfig(deterministic=True)):\n'
        '    import torch\n'
        '    print(torch.are_deterministic_algorithms_enabled())\n'
        'print(torch.are_deterministic_algorithms_enabled())\n'
        "print('lightning' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    assert run_python(code).split() == ['True', 'False', 'False', 'False']
