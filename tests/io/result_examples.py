"""A reconstruction made without any engine."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.scan import Quality, Reconstruction, ScanData
from tests.helpers import make_known_scan


def known_reconstruction(modes: int = 1, origin: tuple[int, int] = (0, 0)):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Return a scan and the reconstruction that a perfect engine would give."""
    known = make_known_scan(modes=modes)
    return known.scan, perfect_reconstruction(known.scan, known.ground_truth, origin)


def perfect_reconstruction(
    scan: ScanData, truth: np.ndarray, origin: tuple[int, int] = (0, 0)
) -> Reconstruction:
    size = scan.frame_size
    coverage = np.zeros(truth.shape, np.float32)
    light = np.sum(np.abs(scan.probe) ** 2, axis=0)
    for row, column in np.rint(scan.positions_px).astype(int) - size // 2:
        coverage[row : row + size, column : column + size] += light
    coverage /= coverage.max()
    return Reconstruction(
        object_canvas=np.where(coverage > 0, truth, np.complex64(np.nan)),
        origin_px=origin,
        probe=scan.probe,
        positions_px=scan.positions_px,
        coverage=coverage,
        residual=np.array([0.5, 0.1, 0.02, 0.01]),
        stages=('network', 'network', 'solver', 'solver'),
        backend='pytorch',
        seconds=1.5,
        pixel_size_m=scan.metadata.pixel_size_m,
        model_name='abc',
        losses=(2.0, 1.0),
    )


def known_quality(shape: tuple[int, ...]) -> Quality:
    """Return the quality of an object of some shape, a different number in every place."""
    frequency = np.linspace(0.02, 0.5, 25)
    return Quality(
        ring_frequency=frequency,
        ring_correlation=1 - frequency,
        half_bit=0.3 + 0 * frequency,
        one_bit=0.4 + 0 * frequency,
        half_bit_limit=0.4,
        one_bit_limit=0.35,
        typical_phase_error=0.02,
        held_out=1.04,
        held_out_unexplained=0.01,
        amplitude_error=np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape),
        phase_error=np.linspace(1, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape),
    )
