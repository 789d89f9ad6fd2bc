"""The photon scale: counts in photons, and a probe of the same scale.

Frame intensity = sum over modes of |FFT(probe * object)|^2 with a unitary FFT, so the photons of a
frame through empty space are sum |probe|^2 and the object's amplitude is 1 there. Multiplying the
counts by 4 and the probe by 2 changes nothing in the object.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, FloatArray
from ptychopinn_plugin.scan.frame_source import apply_step
from ptychopinn_plugin.scan.photons import frame_photons
from ptychopinn_plugin.scan.statistics import empty_object_frame

Totals = npt.NDArray[np.float64]

# A scale that differs by a larger factor is taken for another unit; by a smaller one, for the
# sample's own absorption.
PHOTON_TOLERANCE = 10.0
PROBE_TOLERANCE = 3.0
# The sample absorbs, so empty space is nearer to the brightest frames than to their mean.
BRIGHT_PERCENTILE = 95.0
# A decision of a probe whose own unit is none of photons has these words.
RESCALED = 'it was scaled to'
# With less of its light outside the mask, what is seen is light that the sample scattered.
LEAST_VISIBLE = 0.1
# A difference of shares that is not worth a word.
NO_SHARE = 5e-4


def scale_to_photons(
    frames: FloatArray,
    photons: float | None,
    nphotons: float | None,
    photon_counts: bool,
    decisions: list[str],
) -> tuple[FloatArray, float]:
    """Return intensities scaled to photons, see `apply_step`, and the factor.

    Args:
        frames: float32 (n, H, W), intensities.
        photons: the user's mean photons a frame, which always holds; None leaves it to the data.
        nphotons: the file's own; used for amplitudes that are not in photons already.
        photon_counts: True where the values are photon counts already: counts in the file, or
            amplitudes whose squares are whole numbers.
        decisions: what was decided is added here.

    Returns:
        The frames, scaled in place where they are an array, and the factor that their intensities
        were multiplied by.
    """
    mean = float(frame_photons(frames).mean()) if len(frames) else 0.0
    wanted = photons if photons is not None else nphotons
    if wanted is None or not np.isfinite(mean) or mean <= 0:
        return frames, 1.0
    factor = wanted / mean
    if photons is None:
        # Counts are photons whatever the file says of their mean.
        if photon_counts:
            if _differs(factor, PHOTON_TOLERANCE):
                decisions.append(
                    f'nphotons = {wanted:.4g} was left aside: the frames are photon counts with '
                    f'{mean:.4g} photons a frame'
                )
            return frames, 1.0
        if not _differs(factor, PHOTON_TOLERANCE):
            return frames, 1.0
    origin = 'as asked for' if photons is not None else "from the file's nphotons"
    decisions.append(
        f'intensities were multiplied by {factor:.4g} to {wanted:.4g} photons a frame ({origin}); '
        f'they had {mean:.4g}'
    )
    return apply_step(frames, partial(_multiplied, factor=factor)), factor


def match_probe(
    probe: ComplexArray, totals: Totals, mask: BoolArray, factor: float, decisions: list[str]
) -> ComplexArray:
    """Scale a probe to the photons of the frames where its own scale is another one.

    A probe is left alone where the frames have at least a third of the photons that it gives on
    the pixels that are not masked, and at most three times all of its photons: the sample absorbs,
    and it scatters light from under a beamstop to where it is seen.

    Args:
        probe: complex64 (modes, N, N), finite and not zero.
        totals: float64 (n,), photons of each frame outside the mask.
        mask: bool (N, N), True where bad.
        factor: that the intensities were multiplied by to become photons.
        decisions: what was decided is added here.
    """
    mean = float(totals.mean()) if totals.size else 0.0
    power = float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))
    if not (np.isfinite(mean) and mean > 0 and np.isfinite(power) and power > 0):
        return probe
    seen = visible_share(probe, mask)
    if photons_fit(power, seen, mean):
        return probe
    # A probe that fitted the stored frames is scaled as they were.
    if photons_fit(power * factor, seen, mean):
        decisions.append(f'the probe was scaled with the frames, to {power * factor:.4g} photons')
        return _scaled(probe, factor)
    bright = float(np.percentile(totals, BRIGHT_PERCENTILE))
    if seen < LEAST_VISIBLE:
        # Of what is scattered past a beamstop, no one knows which share of the light it is.
        decisions.append(
            f'the probe had sum |P|^2 = {power:.4g} where the frames have {mean:.4g} photons on '
            f'average; the mask hides {1 - seen:.1%} of its light, so the frames do not determine '
            f'its photons: {RESCALED} {bright:.4g}, and the amplitude of the object is relative'
        )
        return _scaled(probe, bright / power)
    wanted = bright / seen
    hidden = f', {1 - seen:.1%} of them masked' if seen < 1 - NO_SHARE else ''
    decisions.append(
        f'the probe had sum |P|^2 = {power:.4g} where the frames have {mean:.4g} photons on '
        f'average; {RESCALED} {wanted:.4g}{hidden}, the brightest frames, so that empty '
        'object is 1'
    )
    return _scaled(probe, wanted / power)


def visible_share(probe: ComplexArray, mask: BoolArray) -> float:
    """Return which share of a probe's photons falls on detector pixels that are not masked."""
    if mask.shape != probe.shape[1:] or not mask.any():
        return 1.0
    frame = empty_object_frame(probe)
    return float(frame[~mask].sum() / frame.sum())


def photons_fit(power: float, seen: float, mean: float, tolerance: float = PROBE_TOLERANCE) -> bool:
    """Return whether frames have the photons of a probe behind a sample.

    Args:
        power: photons of the probe.
        seen: share of them on pixels that are not masked.
        mean: photons of the mean frame outside the mask.
        tolerance: factor that the frames may be darker or brighter by.
    """
    return power * seen / tolerance <= mean <= power * tolerance


def _multiplied(values: FloatArray, factor: float) -> FloatArray:
    return np.multiply(values, np.float32(factor), out=values)


def _differs(ratio: float, tolerance: float) -> bool:
    return not 1 / tolerance <= ratio <= tolerance


def _scaled(probe: ComplexArray, power_ratio: float) -> ComplexArray:
    scaled: ComplexArray = (probe.astype(np.complex128) * np.sqrt(power_ratio)).astype(np.complex64)
    return scaled
