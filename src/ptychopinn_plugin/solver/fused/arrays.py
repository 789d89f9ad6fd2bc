"""Arrays as the fused loops take them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.sweeps import DeviceBatch
from ptychopinn_plugin.solver.unknowns import Unknowns

Floats = npt.NDArray[np.float32]

# Detector pixels of the frames that go from loop to loop and transform to transform together. A
# batch of a processor, with up to a quarter more than its `batch_pixels`, stays whole: with half as
# many frames, the calls of loops and transforms take longer.
PIECE_PIXELS = 2**18

# Of a `DeviceBatch`, what is shared by its frames.
_SHARED = ('shift_images', 'spectra')


class Detector(NamedTuple):
    """What is the same for all frames at the detector.

    Attributes:
        background: float32 (N, N), counts.
        good: float32 (N, N), 1 where a detector pixel is used, else 0.
    """

    background: Floats
    good: Floats


def detector(unknowns: Unknowns, good: Array | None) -> Detector:
    """Return background and mask, zeros and ones where there is none."""
    plain = _plain_detector(unknowns.probe.shape[-1])
    background = unknowns.background
    return Detector(
        plain.background if background is None else background,
        plain.good if good is None else good,
    )


@functools.lru_cache(maxsize=4)
def _plain_detector(size: int) -> Detector:
    """Return a detector without background and bad pixels, whose arrays no loop changes."""
    return Detector(np.zeros((size, size), np.float32), np.ones((size, size), np.float32))


def parts(x: Array) -> Floats:
    """Return real and imaginary parts of a complex array beside each other, a view."""
    return np.asarray(x.view(np.float32))


def pieces(
    batch: DeviceBatch, most_pixels: int = PIECE_PIXELS
) -> Iterator[tuple[slice, DeviceBatch]]:
    """Return the frames of a batch a few at a time, and which these are."""
    frames = len(batch.amplitudes)
    length = max(1, most_pixels // batch.amplitudes.shape[-1] ** 2)
    if frames <= length:
        yield slice(0, frames), batch
        return
    for first in range(0, frames, length):
        some = slice(first, min(first + length, frames))
        yield (
            some,
            DeviceBatch(
                *(
                    values if values is None or name in _SHARED else values[some]
                    for name, values in batch._asdict().items()
                )
            ),
        )


def are_single(unknowns: Unknowns, batch: DeviceBatch) -> bool:
    """Return whether arrays have the precision and the order in memory that the loops take."""
    return all(
        array is None or (array.dtype == kind and array.flags.c_contiguous)
        for array, kind in (
            (unknowns.canvas_object, np.complex64),
            (unknowns.probe, np.complex64),
            (unknowns.background, np.float32),
            (batch.amplitudes, np.float32),
            (batch.probes, np.complex64),
            (batch.shift_images, np.complex64),
            (batch.shift_weights, np.float32),
        )
    )
