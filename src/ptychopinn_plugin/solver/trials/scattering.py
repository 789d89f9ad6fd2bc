"""Whether an object scatters nearly all of the wave, and what waits for it then."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.nearest_frames import middle_frames
from ptychopinn_plugin.solver.trials.probe_start import TRIAL_FRAMES, Moments

# Share of the light that passes unscattered: lines, spots and bars with phases of 2 to 3 rad had
# 0.26 to 0.8, weak objects 0.72 and more, stars with phases of 2 to 3 rad 0.00 to 0.27.
STRONG_SHARE = 0.4
# Passes until such an object is there. Of a star with a phase of 3 rad under a known probe, flux
# and background from the beginning on took up what the object left unexplained, and kept it.
PASSES = 10


def waiting_passes(scan: ScanData, inference: InferenceConfig, *, refines: bool) -> dict[str, int]:
    """Return the passes before what `auto` tries is estimated, by the names of its settings.

    Empty where nothing waits: what a setting asks for, and what an earlier result has, is estimated
    from the beginning on.

    Args:
        scan: the scan.
        inference: as given.
        refines: whether the probe is refined. It takes up a background that waits.
    """
    given = {
        'update_flux': inference.update_flux or scan.estimates.flux is not None,
        'update_background': refines
        or inference.update_background
        or scan.estimates.background is not None,
    }
    tried = [name for name, is_given in given.items() if not is_given]
    if not inference.auto or inference.initial == 'product' or not tried:
        return {}
    if unscattered_share(scan) >= STRONG_SHARE:
        return {}
    return dict.fromkeys(tried, min(PASSES, inference.refine_iterations // 2))


def unscattered_share(scan: ScanData) -> float:
    """Return the share of the light of the mean frame that is the same wave in all frames.

    From the moments of the frames around the middle of the scan, see `Moments`; 1 without light.
    """
    moments = Moments.of(middle_frames(scan, TRIAL_FRAMES, square=True))
    light = float(moments.mean.sum())
    steady = float(np.sum(moments.unscattered_modulus() ** 2))
    return steady / light if light > 0 else 1.0
