"""The photon scale: counts in photons, and a probe of the same scale.

Frame intensity = sum over modes of |FFT(probe * object)|^2 with a unitary FFT, so the photons of a
frame through empty space are sum |probe|^2 and the object's amplitude is 1 there. Multiplying the
counts by 4 and the probe by 2 changes nothing in the object.
"""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.scan.data import ComplexArray, FloatArray
from ptychopinn_plugin.scan.photons import frame_photons

# A scale that differs by a larger factor is taken for another unit; by a smaller one, for the
# sample's own absorption.
PHOTON_TOLERANCE = 10.0
PROBE_TOLERANCE = 3.0
# The sample absorbs, so empty space is nearer to the brightest frames than to their mean.
BRIGHT_PERCENTILE = 95.0


def scale_to_photons(
    frames: FloatArray,
    photons: float | None,
    nphotons: float | None,
    photon_counts: bool,
    decisions: list[str],
) -> float:
    """Scale intensities to photons, in place.

    Args:
        frames: float32 (n, H, W), intensities.
        photons: the user's mean photons a frame, which always holds; None leaves it to the data.
        nphotons: the file's own; used for amplitudes that are not in photons already.
        photon_counts: True where the values are photon counts already: counts in the file, or
            amplitudes whose squares are whole numbers.
        decisions: what was decided is added here.

    Returns:
        The factor that the intensities were multiplied by.
    """
    mean = float(frame_photons(frames).mean()) if len(frames) else 0.0
    wanted = photons if photons is not None else nphotons
    if wanted is None or not np.isfinite(mean) or mean <= 0:
        return 1.0
    factor = wanted / mean
    if photons is None:
        # Counts are photons whatever the file says of their mean.
        if photon_counts:
            if _differs(factor, PHOTON_TOLERANCE):
                decisions.append(
                    f'nphotons = {wanted:.4g} was left aside: the frames are photon counts with '
                    f'{mean:.4g} photons a frame'
                )
            return 1.0
        if not _differs(factor, PHOTON_TOLERANCE):
            return 1.0
    origin = 'as asked for' if photons is not None else "from the file's nphotons"
    decisions.append(
        f'intensities were multiplied by {factor:.4g} to {wanted:.4g} photons a frame ({origin}); '
        f'they had {mean:.4g}'
    )
    np.multiply(frames, np.float32(factor), out=frames)
    return factor


def match_probe(
    probe: ComplexArray, counts: FloatArray, factor: float, decisions: list[str]
) -> ComplexArray:
    """Scale a probe to the photons of the frames where its own scale is another one.

    A probe within a factor 3 of the mean photons a frame is left alone: that much is the sample.

    Args:
        probe: complex64 (modes, N, N), finite and not zero.
        counts: float32 (n, N, N), photons, zero where masked.
        factor: that the intensities were multiplied by to become photons.
        decisions: what was decided is added here.
    """
    totals = frame_photons(counts)
    mean = float(totals.mean()) if totals.size else 0.0
    power = float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))
    if not (np.isfinite(mean) and mean > 0 and np.isfinite(power) and power > 0):
        return probe
    if not _differs(power / mean, PROBE_TOLERANCE):
        return probe
    # A probe that fitted the stored frames is scaled as they were.
    if not _differs(power * factor / mean, PROBE_TOLERANCE):
        decisions.append(f'the probe was scaled with the frames, to {power * factor:.4g} photons')
        return _scaled(probe, factor)
    bright = float(np.percentile(totals, BRIGHT_PERCENTILE))
    decisions.append(
        f'the probe had sum |P|^2 = {power:.4g} where the frames have {mean:.4g} photons on '
        f'average; it was scaled to {bright:.4g}, the brightest frames, so that empty object is 1'
    )
    return _scaled(probe, bright / power)


def _differs(ratio: float, tolerance: float) -> bool:
    return not 1 / tolerance <= ratio <= tolerance


def _scaled(probe: ComplexArray, power_ratio: float) -> ComplexArray:
    scaled: ComplexArray = (probe.astype(np.complex128) * np.sqrt(power_ratio)).astype(np.complex64)
    return scaled
