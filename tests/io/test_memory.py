"""Big members are read once, and in little more memory than their float32 frames."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from ptychopinn_plugin.io import npy_stream
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan.preflight import preflight
from tests.helpers import make_positions, make_probe
from tests.io.npz_files import write

FRAMES, SIZE = 2048, 64
FRAME_BYTES = FRAMES * SIZE * SIZE * 4
# A few blocks of 4 MB: compressed, plain, cast, compared.
ALLOWANCE = 20 * 2**20


@pytest.fixture(scope='module', params=['float64 (n, N, N)', 'uint16 (N, N, n)'])
def big(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    frames = rng.poisson(20, (FRAMES, SIZE, SIZE))
    if request.param.startswith('float64'):
        stored = np.sqrt(frames)
    else:
        stored = np.moveaxis(frames, 0, 2).astype(np.uint16)
    y, x = make_positions(46, 2.0, SIZE)[:FRAMES].T
    probe = make_probe(SIZE, photons=20 * SIZE * SIZE)
    return write(
        tmp_path_factory.mktemp('big') / 's.npz',
        {'diff3d': stored, 'xcoords': x, 'ycoords': y, 'probeGuess': probe},
    )


def test_peak_memory_of_reading(big: Path) -> None:
    tracemalloc.start()
    try:
        scan = load_npz(big)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scan.counts.nbytes == FRAME_BYTES
    assert peak < FRAME_BYTES + ALLOWANCE
    tracemalloc.start()
    try:
        preflight(scan)
        assert tracemalloc.get_traced_memory()[1] < ALLOWANCE
    finally:
        tracemalloc.stop()


def test_the_frames_are_read_once(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    original = npy_stream._read_exactly

    def counting(stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        nonlocal read
        block = original(stream, dtype, shape)
        read += block.nbytes
        return block

    monkeypatch.setattr(npy_stream, '_read_exactly', counting)
    load_npz(big)
    assert read < 1.02 * big.stat().st_size
