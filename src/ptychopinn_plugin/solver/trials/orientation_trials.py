"""Which way the scan axes lie: short reconstructions of a few frames, one for each way."""

from __future__ import annotations

import itertools

from ptychopinn_plugin.config import InferenceConfig, OrientationConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.scan.nearest_frames import middle_frames
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.problem import Problem

PASSES = 12
PIXELS = 2**20  # of all frames of a trial: about a second for the eight trials
FEWEST, MOST = 25, 64
# Residuals closer than this cannot be distinguished by a short trial.
CLEAR_RATIO = 0.8


def orientation_residuals(scan: ScanData) -> dict[OrientationConfig, float]:
    """Reconstruct frames from the middle of a scan in each orientation.

    The probe is refined on the way, because with a starting probe orientations rarely differ.

    Args:
        scan: the scan as its file has it.

    Returns:
        The residual that each orientation ends at, smallest first; inf where it diverged.
    """
    few = trial_frames(scan)
    residuals = {way: trial_residual(few, way) for way in _all_orientations()}
    return dict(sorted(residuals.items(), key=lambda item: item[1]))


def orientation_hints(
    residuals: dict[OrientationConfig, float], given: OrientationConfig | None = None
) -> tuple[str, ...]:
    """Return the outcome of trials, a sentence each.

    Args:
        residuals: from `orientation_residuals`.
        given: the orientation that the user asked for.
    """
    given = given or OrientationConfig()
    (best, lowest), (second, next_lowest) = itertools.islice(residuals.items(), 2)
    best_flags = orientation_flags(best)
    found = f'residual {lowest:.3g}, the next ({orientation_flags(second)}) {next_lowest:.3g}'
    if not lowest < CLEAR_RATIO * next_lowest:
        return (f'trials cannot tell: {best_flags} fits best, but hardly better ({found})',)
    if best == given:
        return (f'right as it is: {best_flags} fits best ({found})',)
    return (f'looks wrong: {best_flags} fits better ({found}, as it is {residuals[given]:.3g})',)


def orientation_flags(orientation: OrientationConfig) -> str:
    """Return the command line flags of an orientation, 'as in the file' for none."""
    flags = [f'--{name.replace("_", "-")}' for name in orientation.operations]
    return ' '.join(flags) or 'as in the file'


def trial_frames(scan: ScanData, pixels: int = PIXELS) -> ScanData:
    """Return the frames of a short trial, those around the middle of a scan.

    Args:
        scan: the scan.
        pixels: of all frames that are returned and all modes, about.
    """
    number = min(MOST, max(FEWEST, pixels // (scan.mode_count * scan.frame_size**2)))
    return middle_frames(scan, number)


def trial_residual(scan: ScanData, way: OrientationConfig) -> float:
    """Return the least residual of a short reconstruction, inf where it diverged."""
    turned = orient(scan, way)
    problem = Problem.for_scan(NumpyOps(), turned, 4, fixed_probe=False)
    solver = AcceleratedSolver(problem, InferenceConfig(update_probe='on'))
    try:
        return min(solver.one_pass() for _ in range(PASSES))
    except ReconstructionError:
        return float('inf')


def _all_orientations() -> list[OrientationConfig]:
    switches = itertools.product((False, True), repeat=len(OrientationConfig.model_fields))
    return [
        OrientationConfig(**dict(zip(OrientationConfig.model_fields, way, strict=True)))
        for way in switches
    ]
