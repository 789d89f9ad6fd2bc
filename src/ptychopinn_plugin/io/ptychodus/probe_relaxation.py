"""Probes that vary from position to position, as Ptychodus has them (orthogonal probe relaxation).

Its `ProbeSequence` is an array (coherent, incoherent, N, N) with weights (n, coherent): frame j
sees sum_c weights[j, c] array[c, 0] as its main mode and array[0, 1:] as the others. The first
weight is the square root of the frame's flux, as pty-chi has it, the others are those of changes
of the main mode, times it. Where modes are several, Ptychodus applies this flux to the main one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.probe import ProbeSequence

from ptychopinn_plugin.scan import Estimates
from ptychopinn_plugin.scan.data import ComplexArray

# Relative spread of the flux below which it is rounding.
LEAST_SPREAD = 1e-6

Floats = npt.NDArray[np.float64]


def make_probes(probe: ComplexArray, estimates: Estimates, pixels: PixelGeometry) -> ProbeSequence:
    """Return the probes of all positions.

    Args:
        probe: complex64 (modes, N, N).
        estimates: its variation and the flux, as far as they are known.
        pixels: size of the probe's pixels.
    """
    flux, modes, weights = estimates.flux, estimates.opr_modes, estimates.opr_weights
    if flux is None and weights is None:
        return ProbeSequence(probe, None, pixels)
    frames = len(flux) if flux is not None else len(weights) if weights is not None else 0
    light = np.ones((frames, 1)) if flux is None else np.sqrt(flux)[:, None]
    if modes is None or weights is None:
        return ProbeSequence(probe[None], light, pixels)
    array = np.zeros((1 + len(modes), *probe.shape), np.complex64)
    array[0], array[1:, 0] = probe, modes
    return ProbeSequence(array, light * np.hstack([np.ones((frames, 1)), weights]), pixels)


def read_probes(
    probes: ProbeSequence, frames: int, decisions: list[str]
) -> tuple[ComplexArray, Estimates]:
    """Return the probe and how it varies.

    Args:
        probes: of a product.
        frames: positions of that product.
        decisions: what was decided is added here.

    Returns:
        complex64 (modes, N, N), and variation and flux.
    """
    array = probes.get_array().astype(np.complex64)
    weights = probes.get_opr_weights_or_none()
    if weights is None or len(weights) != frames or not np.isfinite(weights).all():
        return _mean_probe(array, weights, frames, decisions), Estimates()
    rows = weights.astype(np.float64)
    light = rows[:, 0]
    if np.any(light <= 0):
        # No flux: changes are those from the mean.
        mean = rows.mean(axis=0)
        probe = _with_main(array, mean)
        return probe, _variation(array[:, 0], rows - mean, decisions)
    scale = float(np.sqrt(np.mean(light**2)))
    flux = (light / scale) ** 2
    estimates = _variation(array[1:, 0] * scale, rows[:, 1:] / light[:, None], decisions)
    if np.ptp(flux) > LEAST_SPREAD:
        decisions.append(f'the flux varies by {flux.std():.1%} from position to position')
        estimates = Estimates(**estimates.arrays(), flux=flux)
    return _with_main(array, np.eye(1, len(array))[0] * scale), estimates


def pair_weights(
    probes: ProbeSequence, positions: npt.NDArray[np.int64], used: npt.NDArray[np.int64]
) -> ProbeSequence:
    """Return probes whose weights belong to the positions that a reconstruction uses.

    As Ptychodus does it with the positions themselves: weights of positions of the same index are
    averaged, missing ones are interpolated.

    Args:
        probes: of a product.
        positions: scan index of each position of that product, (n,).
        used: scan index of each position that is used, (m,).
    """
    weights = probes.get_opr_weights_or_none()
    if weights is None or len(weights) != len(positions):
        return probes
    known, inverse = np.unique(positions, return_inverse=True)
    counts = np.bincount(inverse)
    rows = [
        np.interp(used, known, np.bincount(inverse, weights=column) / counts)
        for column in weights.T
    ]
    return ProbeSequence(probes.get_array(), np.stack(rows, axis=1), probes.get_pixel_geometry())


def _mean_probe(
    array: ComplexArray,
    weights: npt.NDArray[np.floating] | None,
    frames: int,
    decisions: list[str],
) -> ComplexArray:
    """Return one probe for all positions, where the weights do not belong to them."""
    if weights is None or not np.isfinite(weights).all():
        if len(array) > 1:
            decisions.append(
                f'the probe has {len(array)} modes of orthogonal relaxation without weights; the '
                'first, main probe was taken for all positions'
            )
        return np.asarray(array[0])
    decisions.append(
        f'the probe has relaxation weights for {len(weights)} positions where the scan has '
        f'{frames}; the mean probe was taken for all of them'
    )
    return _with_main(array, weights.mean(axis=0))


def _with_main(array: ComplexArray, row: npt.NDArray[np.floating]) -> ComplexArray:
    """Return the probe whose main mode has the given weights, complex64 (modes, N, N)."""
    probe: ComplexArray = array[0].copy()
    probe[0] = np.tensordot(row, array[:, 0], 1)
    return probe


def _variation(modes: ComplexArray, weights: Floats, decisions: list[str]) -> Estimates:
    """Return the variation of modes that any position sees."""
    seen = np.flatnonzero(np.any(weights != 0, axis=0) & np.any(modes != 0, axis=(1, 2)))
    if not seen.size:
        return Estimates()
    decisions.append(
        f'the probe varies from position to position ('
        f'{seen.size} mode{"s" * (seen.size != 1)} of orthogonal relaxation)'
    )
    return Estimates(
        opr_modes=modes[seen].astype(np.complex64), opr_weights=weights[:, seen].astype(np.float32)
    )
