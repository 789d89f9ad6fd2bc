"""Masks over most of the light: the probe that is refined, and the mean of the object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.scan.photon_scale import visible_share
from ptychopinn_plugin.scan.photons import frame_photons
from ptychopinn_plugin.scan.statistics import empty_object_frame
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.gauges import probe_power
from ptychopinn_plugin.solver.masked_light import passes_before_probe
from ptychopinn_plugin.solver.trials.probe_start import start_probe, with_photons_of_frames
from tests.helpers import KnownScan, make_known_scan
from tests.solver.scans import core_score, defocused, object_of, prepared, probe_of, with_probe

Mask = npt.NDArray[np.bool_]


def masked(known: KnownScan, mask: Mask) -> KnownScan:
    counts = np.where(mask, np.float32(0), known.scan.counts)
    return KnownScan(dataclasses.replace(known.scan, counts=counts, mask=mask), known.ground_truth)


def disc(known: KnownScan, radius_px: float) -> Mask:
    size = known.scan.frame_size
    return np.asarray(np.hypot(*(np.indices((size, size)) - size // 2)) < radius_px)


def wedge(known: KnownScan) -> Mask:
    size = known.scan.frame_size
    rows, columns = np.indices((size, size)) - size // 2
    return np.asarray((np.abs(columns) <= 2 + 0.1 * np.abs(rows)) & (rows > -3))


def brightest(known: KnownScan, share: float) -> Mask:
    """Mask the pixels that get the most of the probe's light, up to a share of it."""
    frame = empty_object_frame(known.scan.probe)
    order = np.argsort(frame, axis=None)[::-1]
    below = np.cumsum(frame.ravel()[order]) < share * frame.sum()
    mask = np.zeros(frame.size, bool)
    mask[order[below]] = True
    return mask.reshape(frame.shape)


MASKS: dict[str, Callable[[KnownScan], Mask]] = {
    'wedge, 60 %': wedge,
    '71 %': lambda known: brightest(known, 0.71),
    'disc, 86 %': lambda known: disc(known, 4),
    '90 %': lambda known: brightest(known, 0.9),
    '98 %': lambda known: brightest(known, 0.98),
}


def known_scan(photons: float) -> KnownScan:
    return make_known_scan(side=8, step_px=4.0, photons=photons)


def relative_size(solver: AcceleratedSolver, known: KnownScan) -> float:
    """Return the rms of an object over that of the true one, under a probe of the true power."""
    core = scanned_core(known.scan.positions_px)
    factor = np.sqrt(probe_power(probe_of(solver)) / probe_power(known.scan.probe))
    found = np.linalg.norm(object_of(solver)[core]) / np.linalg.norm(known.ground_truth[core])
    return float(factor * found)


def finished(ops: Ops, scan: ScanData, **settings: Any) -> AcceleratedSolver:
    solver = prepared(ops, scan, 24, **settings)
    solver.finish()
    return solver


@pytest.mark.parametrize('name', MASKS)
def test_a_refined_probe_leaves_the_scale_of_the_object(name: str) -> None:
    known = known_scan(1e6)
    known = masked(known, MASKS[name](known))
    solver = finished(NumpyOps(), known.scan, update_probe='on')
    assert solver.passes_before_probe == 8
    assert 0.9 < probe_power(probe_of(solver)) / probe_power(known.scan.probe) < 1.1
    assert 0.97 < relative_size(solver, known) < 1.03
    assert core_score(solver, known).nrmse < 0.015


def test_both_backends_hold_the_probe_at_first(ops: Ops) -> None:
    known = known_scan(1e6)
    known = masked(known, brightest(known, 0.98))
    solver = finished(ops, known.scan, update_probe='on')
    assert 0.97 < relative_size(solver, known) < 1.03


@pytest.mark.parametrize('photons', [1e4, 1e6])
def test_frames_decide_whether_a_probe_is_refined_of_which_they_show_little(photons: float) -> None:
    known = known_scan(photons)
    known = masked(known, brightest(known, 0.98))
    solver = finished(NumpyOps(), known.scan, update_probe='auto')
    assert not solver.refines_probe
    assert 0.96 < relative_size(solver, known) < 1.04
    assert any('the probe was held' in remark for remark in solver.remarks())
    wrong = with_probe(known.scan, lambda probe: defocused(probe, 150))
    solver = prepared(NumpyOps(), wrong, 1, update_probe='auto')
    assert solver.refines_probe
    assert any(
        'hardly its mean, which cannot be separated' in remark for remark in solver.remarks()
    )


def test_what_was_asked_for_is_done_and_remarked_on() -> None:
    known = known_scan(1e4)
    known = masked(known, brightest(known, 0.98))
    for switch, refines in (('on', True), ('off', False)):
        solver = prepared(NumpyOps(), known.scan, 1, update_probe=switch)
        assert solver.refines_probe == refines
        (remark,) = (one for one in solver.remarks() if 'the mask hides' in one)
        assert remark.startswith('the mask hides 97.')
        assert ('cannot be separated' in remark) == refines


def test_the_probe_is_refined_at_once_where_most_of_its_light_is_seen() -> None:
    known = known_scan(1e4)
    half = masked(known, brightest(known, 0.45))
    for scan in (known.scan, half.scan):
        assert passes_before_probe(scan, InferenceConfig()) == 0
    hidden = masked(known, brightest(known, 0.6)).scan
    passes = [
        passes_before_probe(hidden, InferenceConfig(refine_iterations=n)) for n in (1, 6, 24, 99)
    ]
    assert passes == [0, 2, 8, 8]
    # What a mask hides of a probe that is not known is not known either.
    metadata = dataclasses.replace(hidden.metadata, probe_is_unknown=True)
    assert (
        passes_before_probe(dataclasses.replace(hidden, metadata=metadata), InferenceConfig()) == 0
    )


@pytest.mark.parametrize('start', [start_probe, with_photons_of_frames])
def test_scattered_light_beside_a_beamstop_is_not_that_of_the_probe(
    start: Callable[[ScanData], npt.NDArray[np.complex64]],
) -> None:
    known = known_scan(1e6)
    scan = masked(known, brightest(known, 0.98)).scan
    power = probe_power(scan.probe)
    assert frame_photons(scan.counts).mean() > 1.5 * power * visible_share(scan.probe, scan.mask)
    assert probe_power(start(scan)) == pytest.approx(power, rel=1e-3)
    # A guess in another unit says nothing of the photons.
    other = with_probe(scan, lambda probe: probe * np.float32(1e-3))
    assert probe_power(start(other)) > 100 * probe_power(other.probe)
