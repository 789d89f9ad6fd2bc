"""`deterministic`: the same numbers on every run, on both backends."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import ptychopinn_plugin as pp
from tests.helpers import make_scan
{check}
engine = pp.make_engine({backend!r}, pp.ExecutionConfig(deterministic={on}, accelerator='cpu'))
print(is_on())
"""
CHECKS = {
    'tensorflow': """
def is_on():
    from tensorflow.python.framework import config
    return config.is_op_determinism_enabled()
""",
    'pytorch': """
def is_on():
    import torch
    seen = []
    class Looking(pp.Monitor):
        def on_progress(self, progress):
            seen.append(torch.get_deterministic_debug_mode() > 0)
    brief = pp.InferenceConfig(refine_iterations=1)
    pp.reconstruct(make_scan(side=2), engine=engine, inference=brief, monitor=Looking())
    return seen[0]
""",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    'backend',
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in CHECKS],
)
@pytest.mark.parametrize('on', [True, False])
def test_the_framework_is_deterministic_where_asked(backend: str, on: bool) -> None:
    # In a process of its own: TensorFlow has no way back.
    program = PROGRAM.format(check=CHECKS[backend], backend=backend, on=on)
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.split()[-1:] == [str(on)], done.stderr
