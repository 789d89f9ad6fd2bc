"""Scans of several overlaps, doses and wrong probes, each with its known object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform

from ptychopinn_plugin import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulationConfig, simulate

Complex = npt.NDArray[np.complex64]
# Side of the scanned field, pixels, and the fewest frames along it.
FIELD_PX, FEWEST_ROWS = 96, 6
# Pixels left out along the border of the scanned field.
BORDER_PX = 6
# Seeds of no training and of no other benchmark.
OBJECTS = (('mixed', 911), ('lines', 912))
DENSE_PX = 6.0


@dataclasses.dataclass(frozen=True, eq=False)
class KnownScan:
    """A scan and its object.

    Attributes:
        scan: with an empty object guess.
        truth: complex64 (H, W), on the scan's canvas.
    """

    scan: ScanData
    truth: Complex

    def core(self) -> tuple[slice, slice]:
        """Return the scanned field without its border."""
        return scanned_core(self.scan.positions_px, margin=BORDER_PX)


class Regime(NamedTuple):
    """A row of the tables.

    Attributes:
        group: the table.
        name: the row.
        step_px: distance of neighbouring positions.
        photons: a frame.
        wrong: makes a wrong probe of the true one; None for the true one, which is held.
        defocus_error: relative, of the probe that is handed out.
    """

    group: str
    name: str
    step_px: float = DENSE_PX
    photons: float = 1e6
    wrong: Callable[[Complex], Complex] | None = None
    defocus_error: float = 0.0

    @property
    def refines_probe(self) -> bool:
        """Whether methods refine the probe."""
        return self.wrong is not None or self.defocus_error != 0

    @property
    def key(self) -> str:
        """What tells the scans of the row from those of others; one row may be in two tables."""
        other = self.refines_probe or self.group == 'patterns'
        return f'step {self.step_px:g} px, {self.photons:g} photons{other * f", {self.name}"}'

    def scans(self) -> list[KnownScan]:
        """Simulate the scans of the row."""
        if self.group == 'patterns':
            return [patterns_512(self.photons)]
        settings = field_settings(self.step_px, self.photons, self.defocus_error)
        return [
            simulated(settings | {'object_kind': kind, 'seed': seed}, self.wrong)
            for kind, seed in OBJECTS
        ]


def field_settings(step_px: float, photons: float, defocus_error: float) -> dict[str, Any]:
    """Return the settings of a square scan of about one field, whatever its step."""
    rows = max(FEWEST_ROWS, round(FIELD_PX / step_px) + 1)
    return {
        'rows': rows,
        'columns': rows,
        'step_px': step_px,
        'photons_per_frame': photons,
        'probe_guess_error': defocus_error,
    }


def simulated(
    settings: dict[str, Any], wrong: Callable[[Complex], Complex] | None = None
) -> KnownScan:
    """Simulate a scan; its probe may be made a wrong one."""
    made = simulate(SimulationConfig.model_validate(settings))
    probe = made.scan.probe if wrong is None else wrong(made.scan.probe)
    scan = dataclasses.replace(made.scan, probe=probe, object_guess=np.ones_like(made.ground_truth))
    return KnownScan(scan, made.ground_truth)


def gaussian_guess(probe: Complex) -> Complex:
    """Return a Gaussian of flat phase with the centre, the spread and the power of a probe."""
    power = np.sum(np.abs(probe) ** 2, axis=0)
    y, x = np.indices(power.shape)
    share = power / power.sum()
    centre = float((y * share).sum()), float((x * share).sum())
    squares = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    # Of |probe|^2 of a Gaussian amplitude exp(-r^2 / (4 s^2)), the mean of r^2 is 2 s^2.
    variance = float((squares * share).sum()) / 2
    amplitude = np.exp(-squares / (4 * variance))
    amplitude *= np.sqrt(power.sum() / np.sum(amplitude**2))
    return amplitude[None].astype(np.complex64)


def enlarged(probe: Complex, factor: float = 1.1) -> Complex:
    """Return a probe magnified about pixel N//2 at the same power."""
    centre = probe.shape[-1] // 2
    matrix, offset = np.full(2, 1 / factor), centre * (1 - 1 / factor)
    parts = [
        affine_transform(mode.real, matrix, offset)
        + 1j * affine_transform(mode.imag, matrix, offset)
        for mode in probe
    ]
    larger = np.stack(parts)
    larger *= np.linalg.norm(probe) / np.linalg.norm(larger)
    return larger.astype(np.complex64)


def patterns_512(photons: float = 1e6) -> KnownScan:
    """Return the scan of 512 patterns, which the published network also learns from."""
    return simulated(
        {
            'object_kind': 'mixed',
            'seed': 913,
            'scan_pattern': 'spiral',
            'rows': 16,
            'columns': 32,
            'step_px': DENSE_PX,
            'photons_per_frame': photons,
        }
    )


REGIMES = (
    *(
        Regime('overlap', f'step {step} px, {photons} photons', step, float(photons))
        for photons in ('1e6', '1e4')
        for step in (6, 12, 18, 22, 26)
    ),
    *(
        Regime('dose', f'{photons} photons', photons=float(photons))
        for photons in ('1e3', '1e4', '1e5', '1e6')
    ),
    Regime('patterns', '512 patterns, 1e6 photons'),
    Regime('patterns', '512 patterns, 1e4 photons', photons=1e4),
    Regime('probe', 'true probe, refined', photons=1e5, defocus_error=1e-9),
    Regime('probe', '10 % out of focus', photons=1e5, defocus_error=0.1),
    Regime('probe', '30 % out of focus', photons=1e5, defocus_error=0.3),
    Regime('probe', 'Gaussian guess', photons=1e5, wrong=gaussian_guess),
    Regime('probe', '10 % too large', photons=1e5, wrong=enlarged),
)
