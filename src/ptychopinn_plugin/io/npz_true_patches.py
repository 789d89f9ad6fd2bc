"""The true object under each frame, `Y` of an .npz, for training on known objects."""

from __future__ import annotations

import math

import numpy as np

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.axis_order import AxisOrder
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.scan.data import ComplexArray

KEY = 'Y'


def read_true_patches(
    archive: NpzArchive,
    shape: tuple[int, ...],
    axis_order: AxisOrder | None,
    decisions: list[str],
) -> ComplexArray | None:
    """Return `Y` as complex64 (n, N, N), None without it.

    Read block by block; taken are (n, N, N), (n, N, N, 1) and (N, N, n).

    Args:
        archive: the open file.
        shape: (n, N, N), of the frames.
        axis_order: of the frames in the file; for n = N it holds for `Y` too.
        decisions: how the array was interpreted is added here.

    Raises:
        ScanDataError: it has another shape or is not complex.
    """
    if KEY not in archive:
        return None
    header = archive.header(KEY)
    frames, *sides = shape
    if header.dtype.kind != 'c':
        raise ScanDataError(
            [
                f'{KEY!r} is {header.dtype}; it must hold the complex object under each frame. '
                'Leave it out of the file, or read the file without it (true_patches=False)'
            ]
        )
    last = (*sides, frames)
    frames_last = header.shape == last and (header.shape != shape or axis_order == 'hwn')
    if not frames_last and header.shape not in (shape, (*shape, 1)):
        raise ScanDataError(
            [f'{KEY!r} must have the shape of the frames, {shape}, got {header.shape}']
        )
    if header.dtype != np.complex64 or frames_last:
        decisions.append(
            f'{KEY!r} {header.dtype} {header.shape} was made complex64 with its frames first'
        )
    if fault := memory_fault(f'{KEY!r} {shape}', 8.0 * math.prod(shape)):
        raise ScanDataError([fault])
    patches = np.empty(shape, np.complex64)
    stored = np.moveaxis(patches, 0, 2) if frames_last else patches.reshape(header.shape)
    for place, block in archive.blocks(KEY):
        # A complex128 beyond complex64 becomes infinite, which the contract's check reports.
        with np.errstate(over='ignore', invalid='ignore'):
            stored[place] = block
    return patches
