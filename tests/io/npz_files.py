"""Scans as the members of an .npz, to be bent by each test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ptychopinn_plugin.scan import ScanData


def canonical(scan: ScanData) -> dict[str, Any]:
    """Return the members of the canonical file of a scan."""
    return {
        'diffraction': np.sqrt(scan.counts),
        'xcoords': scan.positions_px[:, 1],
        'ycoords': scan.positions_px[:, 0],
        'probeGuess': scan.probe,
        'objectGuess': np.ones(scan.object_guess.shape, np.complex64)
        if scan.object_guess is not None
        else np.ones((1, 1), np.complex64),
    }


def write(path: Path, members: dict[str, Any], without: tuple[str, ...] = (), **more: Any) -> Path:
    """Write members to an .npz and return its path; object arrays are pickled, as numpy does."""
    kept = {k: v for k, v in (members | more).items() if k not in without}
    np.savez(path, allow_pickle=True, **kept)
    return path
