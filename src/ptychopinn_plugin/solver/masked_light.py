"""Masks over most of the probe's light: what the frames leave open then, and what is held.

A pixel beside the mask gets the probe's own light there times the mean of the object, and what the
sample scatters. Frames determine the scattered waves, so the contrast of the object under a probe
of known power; its mean only by the product with the probe's light beside the mask, which is small.
"""

from __future__ import annotations

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.advice import HIDDEN_LIGHT
from ptychopinn_plugin.scan.photon_scale import photons_fit, visible_share
from ptychopinn_plugin.solver.estimators.gauges import probe_power

# With more of it hidden, scattered light is most of what is seen, and no measure of the probe.
MOST_LIGHT = 0.5
# A refined probe takes up the scattered light as long as the object is empty: with 98 % masked, the
# mean of the object came to 0.75 of the true one; with so many passes before, to 1.00.
PASSES_BEFORE, SHARE_BEFORE = 8, 1 / 3


def hidden_share(scan: ScanData) -> float:
    """Return which share of the probe's light falls on masked pixels, 0 where it is unknown."""
    return 0.0 if scan.metadata.probe_is_unknown else 1 - visible_share(scan.probe, scan.mask)


def hides_nearly_all(scan: ScanData) -> bool:
    """Return whether so much light is masked that the frames hardly determine the probe."""
    return hidden_share(scan) > HIDDEN_LIGHT


def good_photons(scan: ScanData, photons: float) -> float:
    """Return the photons on good pixels that a refined probe starts with.

    Args:
        scan: the guess of the probe, and the mask.
        photons: of the mean frame on good pixels. Where most of the light is masked, and the guess
            is in the unit of the frames, its own photons there are taken instead.
    """
    hidden, power = hidden_share(scan), probe_power(scan.probe)
    if hidden <= MOST_LIGHT or not photons_fit(power, 1 - hidden, photons):
        return photons
    return power * (1 - hidden)


def passes_before_probe(scan: ScanData, inference: InferenceConfig) -> int:
    """Return for how many passes a probe that is refined is held at first."""
    if hidden_share(scan) <= MOST_LIGHT:
        return 0
    return min(PASSES_BEFORE, int(SHARE_BEFORE * inference.refine_iterations))


def remark(scan: ScanData, *, refines: bool, asked: bool) -> str:
    """Return what the frames leave open where nearly all light is masked, for users.

    Args:
        scan: the guess of the probe, and the mask.
        refines: whether the probe is refined.
        asked: whether a setting says so, rather than the frames.
    """
    found = (
        f'the mask hides {hidden_share(scan):.1%} of the light of the probe, so the frames '
        'determine the contrast of the object, but hardly its mean'
    )
    if refines:
        return (
            f'{found}, which cannot be separated from the light of the probe beside the mask; if '
            'the probe is known, keep it with update_probe = off'
        )
    if asked:
        return found
    return f'{found}; the probe was held, for frames that were held out gain nothing otherwise'
