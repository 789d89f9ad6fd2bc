"""The same bits with any number of threads, of the engine and of NumPy's matrix products."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Positions with an affine error, so that matrix products of all pixels of a batch are summed.
PROGRAM = """
import dataclasses, hashlib, sys
import numpy as np
import ptychopinn_plugin as pp
made = pp.simulate(pp.SimulationConfig(rows=12, columns=12, frame_size=64)).scan
positions = made.positions_px - made.positions_px.mean(axis=0)
turned = positions + positions @ np.array([[0.01, 0.02], [-0.02, 0.01]])
scan = dataclasses.replace(made, positions_px=turned - turned.min(axis=0) + 40, object_guess=None)
engine = pp.make_engine(
    sys.argv[1], pp.ExecutionConfig(accelerator='cpu', threads=int(sys.argv[2]))
)
inference = pp.InferenceConfig(auto=True, refine_iterations=6)
found = pp.reconstruct(scan, engine=engine, inference=inference)
assert any('rotation' in one for one in found.remarks), found.remarks
digest = hashlib.sha256()
for array in (found.object_canvas, found.probe, found.positions_px):
    digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    'backend',
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ('pytorch', 'tensorflow')],
)
def test_an_automatic_reconstruction_is_the_same_with_one_thread_and_two(backend: str) -> None:
    found = [
        subprocess.run(
            [sys.executable, '-c', PROGRAM, backend, str(count)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, 'OMP_NUM_THREADS': str(count)},
        )
        for count in (1, 2)
    ]
    one, two = (done.stdout.split()[-1:] for done in found)
    assert one, found[0].stderr
    assert one == two, found[1].stderr
