"""The scans that methods are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import ScanData, load_scan
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

DENSE = {'rows': 33, 'columns': 33, 'step_px': 6.0}
TESTED = {
    'mixed, 1e6 photons': {'object_kind': 'mixed', 'seed': 1, **DENSE},
    'lines, 1e6 photons': {'object_kind': 'lines', 'seed': 2, **DENSE},
    'mixed, 1e4 photons': {
        'object_kind': 'mixed',
        'seed': 1,
        'photons_per_frame': 1e4,
        **DENSE,
    },
    'mixed, 1e3 photons': {
        'object_kind': 'mixed',
        'seed': 1,
        'photons_per_frame': 1e3,
        **DENSE,
    },
    'mixed, step 18 px': {
        'object_kind': 'mixed',
        'seed': 1,
        'rows': 12,
        'columns': 12,
        'step_px': 18.0,
    },
}
# Pixels left out along the border of the scanned field.
BORDER_PX = 6


@dataclass(frozen=True, eq=False)
class Case:
    """A scan to reconstruct.

    Attributes:
        name: for the table.
        path: its file.
        scan: its data.
        truth: complex64 (H, W) on the scan's canvas, None where it is not known.
    """

    name: str
    path: Path
    scan: ScanData
    truth: npt.NDArray[np.complex64] | None

    def core(self) -> tuple[slice, slice]:
        """Return the scanned field without its border."""
        low = np.rint(self.scan.positions_px.min(axis=0)).astype(int) + BORDER_PX
        high = np.rint(self.scan.positions_px.max(axis=0)).astype(int) - BORDER_PX
        return slice(low[0], high[0]), slice(low[1], high[1])


def case_of(path: Path, name: str = '') -> Case:
    """Read a scan file; its object guess is the truth unless it is constant."""
    scan = load_scan(path)
    guess = scan.object_guess
    truth = guess if guess is not None and np.ptp(np.abs(guess)) > 0 else None
    return Case(name or path.stem, path, scan, truth)


def tested_cases(folder: Path) -> list[Case]:
    """Simulate the tested scans into a folder, where they are not there yet."""
    cases = []
    for name, settings in TESTED.items():
        path = folder / f'{name.replace(", ", "-").replace(" ", "-")}.npz'
        if not path.exists():
            save_simulated(path, simulate(SimulationConfig.model_validate(settings)))
        cases.append(case_of(path, name))
    return cases


def scored(case: Case, canvas_object: npt.NDArray[np.complex64]) -> dict[str, float]:
    """Return the scores of an object on the case's canvas, none where the truth is not known."""
    if case.truth is None:
        return {}
    core = case.core()
    found = score(canvas_object[core], case.truth[core])
    return {'nrmse': found.nrmse, 'phase_ssim': found.phase_ssim, 'frc_half': found.frc_half}
