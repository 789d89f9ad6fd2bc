"""Whether the detector is turned against the scan axes: short reconstructions at a few angles."""

from __future__ import annotations

import dataclasses

import numpy as np

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames, trial_residual

ANGLES_DEG = (-6.0, -3.0, 3.0, 6.0)
# Simulated and measured scans that were turned by 5 degrees came to 0.23 to 0.82, others to 0.88
# and above; with 1000 photons a frame trials cannot decide.
CLEAR_RATIO = 0.85


def rotation_hint(
    scan: ScanData, orientation: OrientationConfig, residual: float
) -> tuple[str, ...]:
    """Return a sentence where turned positions fit clearly better, else nothing.

    Args:
        scan: the scan as its file has it.
        orientation: that the user asked for.
        residual: of the trial in this orientation, from `orientation_residuals`.
    """
    few = trial_frames(orient(scan, orientation))
    as_given = OrientationConfig()
    found = {angle: trial_residual(rotated(few, angle), as_given) for angle in ANGLES_DEG}
    best = min(found, key=lambda angle: found[angle])
    other_way = found[-3.0 if best > 0 else 3.0]
    # A turned detector fits worse the other way; a poor probe fits anything as badly.
    if not (found[best] < CLEAR_RATIO * residual < CLEAR_RATIO * other_way):
        return ()
    return (
        f'looks turned: positions turned by {best:+.0f} degrees fit better (residual '
        f'{found[best]:.3g}, as they are {residual:.3g}): is the detector turned against the scan '
        'axes? update_positions = on estimates the rotation',
    )


def rotated(scan: ScanData, angle_deg: float) -> ScanData:
    """Return a scan with its positions turned about their mean, from rows to columns."""
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    center = scan.positions_px.mean(axis=0)
    return dataclasses.replace(scan, positions_px=(scan.positions_px - center) @ turn + center)
