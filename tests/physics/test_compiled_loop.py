"""Compiled loops work wherever what was compiled can or cannot be kept."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('numba') is None and not os.environ.get('PTYCHOPINN_REQUIRE'),
    reason='Numba is not installed',
)

LOOP = """
import numpy as np
from ptychopinn_plugin.physics.compiled_loop import compiled_loop

@compiled_loop
def doubled(x):
    for i in range(len(x)):
        x[i] *= 2

x = np.arange(4, dtype=np.float32)
doubled(x)
doubled(x)
print(x.tolist())
"""


def output(script: Path, cache: Path) -> str:
    environment = {**os.environ, 'NUMBA_CACHE_DIR': str(cache)}
    ended = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.slow
def test_a_damaged_or_missing_cache_stops_nothing(tmp_path: Path) -> None:
    script, cache = tmp_path / 'loop.py', tmp_path / 'cache'
    script.write_text(LOOP)
    wanted = str([0.0, 4.0, 8.0, 12.0])
    assert output(script, cache) == wanted
    kept = [path for path in cache.rglob('*.nb*') if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:9])
    assert output(script, cache) == wanted
    for path in kept:
        path.unlink()
        path.mkdir()
    assert output(script, cache) == wanted
    # No folder can be made in a file.
    file = tmp_path / 'file'
    file.write_text('')
    assert output(script, file) == wanted


def test_the_logarithm_of_the_loops_is_right_to_rounding() -> None:
    from ptychopinn_plugin.physics import fused_loops

    # Of one pixel, the Poisson misfit against a known expectation holds one logarithm.
    counts = np.logspace(-6, 8, 61)
    expected = np.logspace(8, -6, 61)
    waves = np.zeros((61, 1, 1, 2), np.float32)
    waves[:, 0, 0, 0] = np.sqrt(expected)
    amplitudes = np.sqrt(counts)[:, None, None].astype(np.float32)
    ones, zeros = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    for index in range(61):
        found = fused_loops.poisson_step(
            waves[index : index + 1].copy(),
            amplitudes[index : index + 1],
            np.ones(1, np.float32),
            zeros,
            ones,
            np.zeros((0, 1, 1), np.float32),
        )
        n, e = (x.astype(np.float64) ** 2 for x in (amplitudes[index, 0], waves[index, 0, 0]))
        wanted = 0.5 * (e[0] - n[0] + (n[0] + 1e-6) * np.log((n[0] + 1e-6) / (e[0] + 1e-6)))
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-7 * max(n[0], e[0], 1e-6))
