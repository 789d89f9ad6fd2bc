"""Which start a refined probe gets: from the frames, the given one, or one that is propagated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.trials.defocus_trials import Probe, best_focus, propagation, short_fit
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames
from ptychopinn_plugin.solver.trials.probe_start import start_probe, with_photons_of_frames

# A start that leaves less of the differences between the frames unexplained, held in a short
# reconstruction, is refined to the right probe.
ENOUGH = 0.2
# A propagated probe must leave less than this of what it leaves as it is.
CLEAR_RATIO = 0.8
# Refining goes on from there: half the pixels of a trial and few distances are enough.
PIXELS, HALVINGS = 2**19, 2


def choose_start(scan: ScanData, check: Callable[[], None]) -> tuple[Probe, str]:
    """Return the start of a probe that is refined, and a sentence where it is not the usual one.

    The first of these with which a short reconstruction leaves less than `ENOUGH` of the
    differences between the frames: the start from the moments of the frames, which fails where a
    strong object lets hardly any of the wave pass unscattered; the probe as it is given; the better
    of the two propagated. Where none does, the best of them.

    Args:
        scan: with a guessed probe.
        check: called before every batch; raises to stop the work.

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
        left = short_fit(dataclasses.replace(few, probe=probe), check).unexplained
        # Where photons do not show the differences, trials cannot tell starts apart.
        if math.isnan(left):
            return start_probe(scan), ''
        if left < least:
            best, said, least = probe, remark, left
        if least < ENOUGH:
            return best, said
    focus = best_focus(dataclasses.replace(few, probe=best), check, HALVINGS)
    if focus.misfits.unexplained < CLEAR_RATIO * least:
        return focus.probe, f'the probe started {propagation(scan, focus)}, where it explains more'
    return best, said
