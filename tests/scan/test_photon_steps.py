"""A beam that changes at a moment is found from the photons of frames that overlap."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photon_steps import photon_step
from ptychopinn_plugin.scan.photons import frame_photons
from ptychopinn_plugin.scan.preflight import preflight
from tests.helpers import make_positions, make_scan

SIDE = 12
POSITIONS = make_positions(SIDE, 4.0, 16)


def photons(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return photons behind an object that absorbs up to 0.4, smoothly over a few frames."""
    absorbed = 0.2 + 0.2 * np.sin(positions[:, 0] / 15) * np.cos(positions[:, 1] / 12)
    mean = 1e4 * (1 - absorbed)
    return np.random.default_rng(5).poisson(mean).astype(np.float64)


@pytest.mark.parametrize('frame', [30, 72, 100])
@pytest.mark.parametrize('factor', [0.5, 1.6])
def test_a_step_is_found(frame: int, factor: float) -> None:
    totals = photons(POSITIONS)
    totals[frame:] *= factor
    step = photon_step(totals, POSITIONS)
    assert step is not None
    assert abs(step.frame - frame) <= 1
    assert step.ratio == pytest.approx(factor, rel=0.12)


def test_objects_and_smooth_changes_are_no_step() -> None:
    totals = photons(POSITIONS)
    assert photon_step(totals, POSITIONS) is None
    assert photon_step(totals * np.linspace(1, 0.4, len(totals)), POSITIONS) is None
    single = totals.copy()
    single[[20, 70]] *= 8
    assert photon_step(single, POSITIONS) is None
    wild = totals * np.exp(0.3 * np.random.default_rng(6).normal(size=len(totals)))
    assert photon_step(wild, POSITIONS) is None


def test_few_frames_have_no_step() -> None:
    assert photon_step(np.array([1.0, 1.0, 0.2]), POSITIONS[:3]) is None


def halved(scan: ScanData) -> ScanData:
    counts = scan.counts.copy()
    counts[40:] = np.random.default_rng(1).binomial(counts[40:].astype(int), 0.5)
    return dataclasses.replace(scan, counts=counts)


def test_check_names_the_step() -> None:
    scan = make_scan(frame_size=16, side=9, step_px=3.0)
    assert preflight(scan).photon_step is None
    report = preflight(halved(scan))
    step = photon_step(frame_photons(halved(scan).counts), scan.positions_px)
    assert step is not None
    assert report.photon_step == (step.frame, step.ratio)
    named = [text for text in report.warnings if f'from frame {step.frame} on' in text]
    assert len(named) == 1
    assert f'fall to {step.ratio:.0%} of' in named[0]
