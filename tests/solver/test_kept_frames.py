"""Frames that fit stay on a device with a memory of its own, others visit it in every pass."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_source import FramesInFile
from ptychopinn_plugin.solver.batches import frame_amplitudes
from ptychopinn_plugin.solver.kept_frames import SHARE_FOR_FRAMES
from tests.helpers import make_scan
from tests.solver.scans import Values, object_of, prepared

PASSES, SIDE, SIZE = 4, 5, 32
FRAME_BYTES = 4 * SIZE**2
SETTINGS: dict[str, Any] = {'subsets': 2, 'auto': False, 'update_positions': 'on'}


class DeviceOps(NumpyOps):
    """Counts the frames that are sent to a device with some free memory.

    Args:
        frames: that fit into the share of the free memory that is for them.
    """

    batch_pixels = 4 * SIZE**2

    def __init__(self, frames: int) -> None:
        self.room = frames * FRAME_BYTES / SHARE_FOR_FRAMES
        self.sent = 0

    def free_bytes(self) -> float:
        return self.room

    def array(self, values: Values) -> Values:
        if values.dtype == np.float32 and values.shape[1:] == (SIZE, SIZE):
            self.sent += len(values)
        return values.copy()


@dataclass(eq=False)
class CountedSource:
    """Frames of an array that counts how many of them are read."""

    values: Values
    read_frames: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self.values), SIZE, SIZE)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def read(self, frames: Values) -> Values:
        self.read_frames += frames.tolist()
        return np.asarray(self.values[frames])


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=SIDE, frame_size=SIZE)


@pytest.fixture(scope='module')
def wanted(scan: ScanData) -> Values:
    return object_of(prepared(DeviceOps(0), scan, PASSES, **SETTINGS))


@pytest.mark.parametrize('fit', [0, 8, SIDE**2])
def test_each_frame_that_fits_is_sent_once(scan: ScanData, wanted: Values, fit: int) -> None:
    visits = []
    for passes in (1, PASSES):
        ops = DeviceOps(fit)
        solver = prepared(ops, scan, passes, **SETTINGS)
        visits.append(ops.sent)
    np.testing.assert_array_equal(object_of(solver), wanted)
    # Batches are kept whole: of 25 frames in two subsets they have three or four.
    kept = SIDE**2 if fit == SIDE**2 else fit // 4 * 4
    least, most = (len(scan.counts) - kept) * (PASSES - 1), 4 * SIDE**2 * (PASSES - 1)
    sent = visits[1] - visits[0]
    if fit == SIDE**2:
        assert visits == [SIDE**2, SIDE**2]
    else:
        assert least <= sent <= most
        assert visits[0] >= len(scan.counts)


def test_frames_on_the_device_are_not_read_from_their_file_again(
    scan: ScanData, wanted: Values
) -> None:
    reads = []
    for fit in (0, SIDE**2):
        for passes in (1, PASSES):
            source = CountedSource(scan.counts)
            in_file = dataclasses.replace(scan, counts=FramesInFile.of(source).as_counts())
            source.read_frames.clear()
            solver = prepared(DeviceOps(fit), in_file, passes, **SETTINGS)
            reads.append(len(source.read_frames))
        np.testing.assert_array_equal(object_of(solver), wanted)
    assert reads[1] > reads[0]
    assert reads[3] == reads[2]


def test_amplitudes_are_square_roots_with_the_zero_frequency_first() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(5.0, (3, 7, 6)).astype(np.float32)
    mask = rng.random((7, 6)) < 0.2
    counts[:, mask] = np.nan
    roots = np.sqrt(np.where(mask, np.float32(0), counts))
    found = frame_amplitudes(counts, mask)
    np.testing.assert_array_equal(found, np.fft.ifftshift(roots, axes=(1, 2)))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
