"""Which start a refined probe gets: from the frames, the given one, or one that is propagated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.estimators.probe_modes import hermite_modes
from ptychopinn_plugin.solver.overlap import frame_overlap
from ptychopinn_plugin.solver.trials.coarse_frames import coarse_frames
from ptychopinn_plugin.solver.trials.defocus_trials import (
    Focus,
    Probe,
    best_focus,
    propagated,
    propagation,
    short_fit,
)
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames
from ptychopinn_plugin.solver.trials.probe_start import (
    focused_probe,
    probe_without_guess,
    start_probe,
    with_photons_of_frames,
)

# A start that leaves less of the differences between the frames unexplained, held in a short
# reconstruction, is refined to the right probe.
ENOUGH = 0.2
# Where the best one leaves more of them, the start of a scan without a probe is tried too, which
# takes up to ten times as long as the rest (5 s for 128 x 128 frames). The probe of a real scan's
# file left 0.4 there, and came out right; Gaussians of 4 and 16 px left 0.7, and did not.
POOR = 0.5
# A propagated probe must leave less than this of what it leaves as it is.
CLEAR_RATIO = 0.8
# Refining goes on from there: half the pixels of a trial and few distances are enough.
PIXELS, HALVINGS = 2**19, 2
# Frames that lie alone are each explained by an object of their own, whatever the probe: a probe
# that leaves them so is not compared with one that does not. Two real scans, with probes of 58 px
# and steps of 10 and 17 px, came out as separate discs otherwise: in focus, frames that overlap 3
# to 6 times overlap 1.0 to 1.3 times, and leave less unexplained.
LEAST_OVERLAP, OVERLAP_SHARE = 2.0, 0.5


def choose_start(
    scan: ScanData, check: Callable[[], None], ops: Ops | None = None
) -> tuple[Probe, str]:
    """Return the start of a probe that is refined, and a sentence where it is not the usual one.

    The first of these with which a short reconstruction leaves less than `ENOUGH` of the
    differences between the frames: the start from the moments of the frames, which fails where a
    strong object lets hardly any of the wave pass unscattered; the probe as it is given; the better
    of the two propagated; the modulus from the moments without the phases of the guess, propagated.
    Where none does, the best of them; where that leaves more than `POOR`, a probe from the frames
    alone if it is clearly better. Propagated probes with which the frames hardly overlap are
    left out, if they overlap with the first.

    Args:
        scan: with a guessed probe.
        check: called before every batch; raises to stop the work.
        ops: the framework; None for NumPy.

    Returns:
        complex64 (modes, N, N), and a remark, empty for the start from the moments.
    """
    few, best, said, least = trial_frames(scan, PIXELS), start_probe(scan), '', math.inf
    for probe, remark in (
        (best, ''),
        (
            with_photons_of_frames(scan),
            'the probe started as it was given: it explains more than '
            'a start from the moments of the frames',
        ),
    ):
        left = _unexplained(few, probe, check, ops)
        # Where photons do not show the differences, trials cannot distinguish starts.
        if math.isnan(left):
            return start_probe(scan), ''
        if left < least:
            best, said, least = probe, remark, left
        if least < ENOUGH:
            return best, said
    usual = dataclasses.replace(few, probe=start_probe(scan))
    least_overlap, rival = min(LEAST_OVERLAP, OVERLAP_SHARE * frame_overlap(usual)), math.inf
    for probe, without in ((best, ''), (focused_probe(scan), ' without the phases of the guess,')):
        focus = _focus(few, probe, check, least_overlap, ops=ops, rival=rival)
        if frame_overlap(dataclasses.replace(few, probe=focus.probe)) < least_overlap:
            continue
        rival, left = min(rival, focus.early), focus.misfits.unexplained
        if left < CLEAR_RATIO * least:
            how = propagation(scan, focus)
            said = f'the probe started{without} {how}, where it explains more'
            best, least = focus.probe, left
        if least < ENOUGH:
            break
    return _without_guess(scan, few, check, least_overlap, ops, least) or (best, said)


def _without_guess(
    scan: ScanData,
    few: ScanData,
    check: Callable[[], None],
    least_overlap: float,
    ops: Ops | None,
    least: float,
) -> tuple[Probe, str] | None:
    """Return the start of a scan without a probe, propagated to where it fits best, and a remark.

    The light of a probe far out of focus is moved by more than the distances that are tried with
    starts from the guess. That of a scan without a probe is refined in its trials, which brings it
    near enough.

    Returns:
        None where starts from the guess, which leave `least` of the differences, are not poor, or
        this one is not clearly better, or frames hardly overlap with it.
    """
    if least < POOR:
        return None
    found = hermite_modes(probe_without_guess(ops or NumpyOps(), scan, check), scan.mode_count)
    focus = _focus(few, found, check, least_overlap, ops=ops, rival=math.inf)
    left = focus.misfits.unexplained
    overlap = frame_overlap(dataclasses.replace(few, probe=focus.probe))
    if overlap < least_overlap or not left < CLEAR_RATIO * least:
        return None
    return focus.probe, (
        f'found: the guess of the probe leaves {min(least, 1):.0%} of the differences between the '
        f'frames in a short reconstruction, a start from the frames alone {left:.0%}: the probe '
        'started from there'
    )


def choose_again(
    scan: ScanData, check: Callable[[], None], ops: Ops | None = None
) -> tuple[Probe, str] | None:
    """Return another start for a probe that an earlier reconstruction refined, and a sentence.

    Such a probe leaves at most a few percent of the differences between the frames in a short
    reconstruction, that of one that failed or ended early 30 % or more.

    Args:
        scan: with that probe.
        check: called before every batch; raises to stop the work.
        ops: the framework; None for NumPy.

    Returns:
        None where the probe is right, or no other start is clearly better.
    """
    few = trial_frames(scan, PIXELS)
    given = _unexplained(few, scan.probe, check, ops)
    if not given > ENOUGH:
        return None
    probe, _ = choose_start(scan, check, ops)
    left = _unexplained(few, probe, check, ops)
    if not left < CLEAR_RATIO * given:
        return None
    return probe, (
        f'the probe of the earlier reconstruction leaves {min(given, 1):.0%} of the differences '
        f'between the frames in a short one, a start from the frames {left:.0%}: the probe '
        'started from there'
    )


def _unexplained(few: ScanData, probe: Probe, check: Callable[[], None], ops: Ops | None) -> float:
    """Return which share of the differences a short reconstruction with a probe leaves."""
    coarse, _ = coarse_frames(dataclasses.replace(few, probe=probe))
    return short_fit(coarse, check, ops).unexplained


def _focus(
    few: ScanData,
    probe: Probe,
    check: Callable[[], None],
    least_overlap: float,
    *,
    ops: Ops | None,
    rival: float,
) -> Focus:
    """Return the distance at which a probe fits best, in pixels of the frames as they are."""
    coarse, factor = coarse_frames(dataclasses.replace(few, probe=probe))
    found = best_focus(coarse, check, HALVINGS, least_overlap, ops=ops, rival=rival)
    radius_px = factor * found.radius_px
    return dataclasses.replace(
        found,
        radius_px=radius_px,
        edge=found.edge / factor,
        probe=propagated(probe, radius_px) if radius_px else probe,
    )
