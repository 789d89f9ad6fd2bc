"""What `auto` estimates of a scan, and why, as far as it follows from the frames alone."""

from __future__ import annotations

import math

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.preflight_report import PreflightReport
from ptychopinn_plugin.solver.trials.automatic import (
    AUTOMATIC,
    DRIFT_FRAMES,
    refines_probe,
    resolve_automatic,
)


def proposed_settings(scan: ScanData, report: PreflightReport) -> tuple[str, ...]:
    """Return the settings that `auto` stands for, each as 'name = value: reason'.

    They are those that a reconstruction with `auto` and without a model takes.

    Args:
        scan: the scan.
        report: of its preflight.
    """
    asked = InferenceConfig(auto=True)
    refined = refines_probe(asked, scan)
    chosen = resolve_automatic(asked, probe_refined=refined, frames=scan.frame_count)
    values = {'update_probe': 'on' if refined else 'off'}
    values |= {name: getattr(chosen, name) for name in AUTOMATIC}
    reasons = _reasons(report, refined=refined, passes=chosen.refine_iterations)
    return tuple(
        f'{name} = {_as_typed(value)}: {reasons[name]}'
        for name, value in values.items()
        if name in reasons
    )


def _reasons(report: PreflightReport, *, refined: bool, passes: int) -> dict[str, str]:
    """Return why each setting has its value, by name."""
    frames = report.frames
    differ = f'neighbouring frames differ by {report.neighbour_variation:.1%} in photons'
    noise = 1 / math.sqrt(max(report.photons_per_frame.mean, 1.0))
    of_the_probe = 'the probe is not refined'
    return {
        'update_probe': 'no reconstruction has refined it, and its own frame has a correlation of '
        f'{report.probe_correlation:.2f} with the mean frame'
        if refined
        else 'an earlier reconstruction has refined it',
        'probe_modes': 'modes that the frames do not need are dropped' if refined else of_the_probe,
        'update_flux': f'{differ}, photon noise alone by {noise:.1%}; the rest is sample or beam',
        'update_background': f'the darkest pixels have {report.darkest_counts:.3g} counts a frame',
        'update_positions': f'neighbouring frames overlap by {report.overlap:.0%}, enough to '
        'determine positions',
        'opr_modes': of_the_probe
        if not refined
        else f'{frames} frames, enough to determine how the probe drifts (from {DRIFT_FRAMES} on)'
        if frames >= DRIFT_FRAMES
        else f'{frames} frames are too few to determine how the probe drifts ({DRIFT_FRAMES} are '
        'needed)',
        'stop_early': 'passes end once they gain no more than noise explains, within '
        f'refine_iterations = {passes}',
    }


def _as_typed(value: object) -> str:
    """Return a value as a settings file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
