"""Whether stored frames are photon counts or amplitudes, and why."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from ptychopinn_plugin.io.detector_gain import gain_of
from ptychopinn_plugin.io.npz_frames import StoredFrames
from ptychopinn_plugin.scan.advice import UNDECIDED
from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_source import apply_step
from ptychopinn_plugin.scan.photon_scale import PHOTON_TOLERANCE, photons_fit, visible_share

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
    whole numbers throughout, the signature of the program that wrote the file, noise below zero,
    else amplitude.

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
    if frames.below_zero:
        return 'counts', f'{key} holds counts: amplitudes have no noise below zero'
    return 'amplitude', f'{key} holds amplitude: {UNDECIDED}'


def domain_of_photons(
    frames: StoredFrames, probe: ComplexArray, mask: BoolArray | None
) -> tuple[Domain, str] | None:
    """Decide by the photons of the probe whether frames are counts or amplitudes.

    Args:
        frames: as stored, zero where masked.
        probe: complex64 (modes, N, N), in any scale.
        mask: bool (N, N), True where bad.

    Returns:
        The domain and the reason, where the probe has the photons of the one and, by far, not those
        of the other; else None.
    """
    power = float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))
    if not (np.isfinite(power) and power > 0):
        return None
    # Squares of counts that are whole numbers are better evidence than the scale of a probe.
    first = frames.values[:1]
    if are_whole_numbers(first * first):
        return None
    seen = 1.0 if mask is None else visible_share(probe, mask)
    sums, squares = _mean_sums(frames.values)
    photons: dict[Domain, float] = {'counts': sums, 'amplitude': squares}
    near = [name for name, mean in photons.items() if photons_fit(power, seen, mean)]
    far = [
        name
        for name, mean in photons.items()
        if not photons_fit(power, seen, mean, PHOTON_TOLERANCE)
    ]
    if len(near) != 1 or len(far) != 1:
        return None
    (domain,) = near
    key = repr(frames.key)
    return domain, (
        f'{key} holds {domain}: a frame then has {photons[domain]:.4g} photons and the probe '
        f'{power:.4g}; as {far[0]} a frame would have {photons[far[0]]:.4g}'
    )


def counts_with_gain(
    frames: StoredFrames, probe: ComplexArray | None, mask: BoolArray | None
) -> tuple[float, str] | None:
    """Return the gain of frames that are photon counts times one, and the reason.

    Args:
        frames: as stored, zero where masked, without values below zero.
        probe: complex64 (modes, N, N), in any scale; None where it is not known.
        mask: bool (N, N), True where bad.

    Returns:
        None where the values are no whole multiples of one step, see `gain_of`, or the probe has
        the photons of their squares and not those of the multiples: rounded amplitudes.
    """
    gain = gain_of(frames.values)
    if gain is None:
        return None
    sums, squares = _mean_sums(frames.values)
    if probe is not None:
        power = float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))
        seen = 1.0 if mask is None else visible_share(probe, mask)
        if photons_fit(power, seen, squares) and not photons_fit(power, seen, sums / gain):
            return None
    return gain, (
        f'{frames.key!r} holds counts times a gain: every value is a whole multiple of {gain:.6g}; '
        f'they were divided by it, to {sums / gain:.4g} photons a frame'
    )


def _mean_sums(values: FloatArray) -> tuple[float, float]:
    """Return the sum of a frame's values and that of their squares, means over the frames."""
    sums = squares = 0.0
    for _, some in frame_chunks(values):
        sums += float(some.sum(dtype=np.float64))
        squares += float(np.vdot(some, some))
    return sums / max(len(values), 1), squares / max(len(values), 1)


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


def squared(amplitude: FloatArray) -> FloatArray:
    """Return amplitudes squared to intensities without a second copy, see `apply_step`."""
    return apply_step(amplitude, _square)


def rounded(intensity: FloatArray) -> FloatArray:
    """Return intensities rounded to whole numbers without a second copy, see `apply_step`."""
    return apply_step(intensity, _round)


def _square(values: FloatArray) -> FloatArray:
    # An overflow becomes infinite, which the check of the scan reports.
    with np.errstate(over='ignore'):
        return np.multiply(values, values, out=values)


def _round(values: FloatArray) -> FloatArray:
    return np.rint(values, out=values)


def are_whole_numbers(intensity: FloatArray) -> bool:
    """Return whether squared amplitudes are whole numbers within float32's accuracy."""
    for _, some in frame_chunks(intensity):
        # NaN and infinite values count as not whole; the check of the scan reports them.
        with np.errstate(invalid='ignore'):
            off = np.abs(some - np.rint(some))
        if not np.all(off <= SQUARE_TOLERANCE * some):
            return False
    return True
