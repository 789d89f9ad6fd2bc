"""Trials on frames whose outer pixels are cut off find what whole frames find."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver import Problem
from ptychopinn_plugin.solver.trials.coarse_frames import coarse_frames, coarse_probe
from ptychopinn_plugin.solver.trials.defocus_trials import best_focus, propagated
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames
from ptychopinn_plugin.solver.trials.probe_choice import choose_start
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import make_probe


def empty_scan(size: int = 128) -> ScanData:
    """Return frames of an empty object under an asymmetric probe of little light far out."""
    probe = make_probe(size)
    counts = np.sum(np.abs(np.fft.fft2(probe, norm='ortho')) ** 2, axis=0)
    positions = np.array([[0.0, 0], [0, 6], [6, 0], [6, 6]])
    frames = np.repeat(np.fft.fftshift(counts)[None], 4, axis=0).astype(np.float32)
    return ScanData(frames, positions, probe, np.zeros((size, size), bool))


def test_what_is_left_are_frames_of_larger_pixels() -> None:
    scan = empty_scan()
    coarse, factor = coarse_frames(scan)
    assert (factor, coarse.frame_size) == (2, 64)
    np.testing.assert_array_equal(coarse.positions_px, scan.positions_px / 2)
    problem = Problem.for_scan(NumpyOps(), coarse, 1, fixed_probe=True)
    empty = np.ones(problem.canvas.shape, np.complex64)
    misfit = problem.misfit(0, Unknowns(empty, coarse.probe))
    assert misfit < 1e-8 * problem.total_counts
    # The centre of the light stays at the centre of the frame.
    for one in (scan, coarse):
        light = np.sum(np.abs(one.probe) ** 2, axis=0)
        rows = light.sum(axis=1) @ (np.arange(one.frame_size) - one.frame_size / 2) / light.sum()
        assert abs(rows) < 0.05 * one.frame_size
    full, cut = (np.sum(np.abs(one) ** 2) for one in (scan.probe, coarse_probe(scan.probe, 64)))
    assert cut == pytest.approx(full, rel=1e-5)


def test_small_frames_and_light_far_out_stay_whole() -> None:
    scan = empty_scan(64)
    assert coarse_frames(scan) == (scan, 1)
    scan = empty_scan()
    even = dataclasses.replace(scan, counts=np.ones_like(scan.counts))
    assert coarse_frames(even) == (even, 1)
    # What is masked is no light.
    mask = np.ones_like(scan.mask)
    mask[32:96, 32:96] = False
    assert coarse_frames(dataclasses.replace(even, mask=mask))[1] == 2


@pytest.mark.slow
def test_they_find_the_same_distance() -> None:
    config = SimulationConfig.model_validate(
        {'rows': 6, 'columns': 6, 'frame_size': 128, 'photons_per_frame': 1e6, 'seed': 3}
    )
    scan = simulate(config).scan
    few = trial_frames(scan, 2**19)
    wrong = dataclasses.replace(few, probe=propagated(few.probe, 10.0))
    coarse, factor = coarse_frames(wrong)
    assert factor == 2
    whole, cut = (best_focus(one, lambda: None, 2) for one in (wrong, coarse))
    assert factor * cut.radius_px == pytest.approx(whole.radius_px, abs=0.5)
    assert cut.edge / factor == pytest.approx(whole.edge, rel=0.05)
    far = dataclasses.replace(scan, probe=propagated(scan.probe, 10.0))
    probe, said = choose_start(far, lambda: None)
    assert probe.shape == scan.probe.shape
    assert said
