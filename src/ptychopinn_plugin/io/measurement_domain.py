"""Whether stored frames are photon counts or amplitudes, and why."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from ptychopinn_plugin.io.npz_frames import StoredFrames
from ptychopinn_plugin.scan.data import FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks

Domain: TypeAlias = Literal['counts', 'amplitude']

DOMAIN_NAMES: dict[str, Domain] = {
    'counts': 'counts',
    'count': 'counts',
    'intensity': 'counts',
    'amplitude': 'amplitude',
}
# Float32 keeps a square root to 6e-8, hence its square to 1.2e-7 of itself.
SQUARE_TOLERANCE = 4e-7


def decide_domain(
    frames: StoredFrames, declared: str | None, asked: Domain | None, ptychodus_export: bool
) -> tuple[Domain, str]:
    """Decide whether the frames are counts or amplitudes.

    In this order: the user's choice, the file's own `measurement_domain`, an integer dtype,
    whole numbers throughout, the signature of the program that wrote the file, else amplitude.

    Args:
        frames: as stored.
        declared: the file's `measurement_domain`, None without one; a key of `DOMAIN_NAMES`.
        asked: the user's choice.
        ptychodus_export: True for the export that Ptychodus writes for PtychoPINN.

    Returns:
        The domain, and the reason in one sentence.
    """
    key = repr(frames.key)
    if asked is not None:
        return asked, f'{key} holds {asked}, as asked for'
    if declared is not None:
        domain = DOMAIN_NAMES[declared]
        return domain, f"{key} holds {domain}: the file says measurement_domain = '{declared}'"
    if frames.dtype.kind in 'ui':
        return 'counts', f'{key} holds counts: its dtype {frames.dtype} is an integer'
    if frames.whole_numbers:
        return 'counts', f'{key} holds counts: every value is a whole number'
    if ptychodus_export:
        return 'counts', f"{key} holds counts: 'bad_pixels' beside it marks an export of Ptychodus"
    return 'amplitude', f'{key} holds amplitude: nothing in the file says otherwise'


def negative_amplitudes(amplitude: FloatArray, key: str) -> list[str]:
    """Return the fault of amplitudes below zero, which squaring would hide."""
    for start, some in frame_chunks(amplitude):
        wrong = np.argwhere(some < 0)
        if len(wrong):
            frame, row, column = (int(i) for i in wrong[0])
            return [
                f'{key}[{start + frame}, {row}, {column}] is negative '
                f'({some[frame, row, column]}); amplitudes must not be, or the pixel be masked'
            ]
    return []


def square_in_place(amplitude: FloatArray) -> None:
    """Square amplitudes to intensities without a second copy."""
    # An overflow becomes infinite, which the check of the scan reports.
    with np.errstate(over='ignore'):
        np.multiply(amplitude, amplitude, out=amplitude)


def are_whole_numbers(intensity: FloatArray) -> bool:
    """Return whether squared amplitudes are whole numbers within float32's accuracy."""
    for _, some in frame_chunks(intensity):
        # NaN and infinite values count as not whole; the check of the scan reports them.
        with np.errstate(invalid='ignore'):
            off = np.abs(some - np.rint(some))
        if not np.all(off <= SQUARE_TOLERANCE * some):
            return False
    return True
