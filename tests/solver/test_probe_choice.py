"""The start of a refined probe is the one with which short reconstructions explain the frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import Estimates, ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.overlap import frame_overlap
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.start import find_start
from ptychopinn_plugin.solver.trials.defocus_trials import propagated, short_fit
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames
from ptychopinn_plugin.solver.trials.probe_choice import choose_again, choose_start
from ptychopinn_plugin.solver.trials.probe_start import start_probe, with_photons_of_frames
from tests.frameworks import FRAMEWORKS, ops_of
from tests.helpers import expected_counts, make_scan
from tests.solver.scans import known_scan, object_of, with_probe


def no_check() -> None:
    return None


def simulated(phase_range_rad: float, contrast: float, **settings: float) -> SimulatedScan:
    config = SimulationConfig.model_validate(
        {
            'rows': 8,
            'columns': 8,
            'object_kind': 'lines',
            'photons_per_frame': 1e5,
            'phase_range_rad': phase_range_rad,
            'amplitude_contrast': contrast,
            'seed': 109,
        }
        | settings
    )
    found = simulate(config)
    return dataclasses.replace(found, scan=dataclasses.replace(found.scan, object_guess=None))


def gaussian(scan: ScanData, width_px: float = 7.0) -> ScanData:
    x = np.arange(scan.frame_size) - scan.frame_size // 2
    wave = np.exp(-(x[:, None] ** 2 + x**2) / (2 * width_px**2))[None].astype(np.complex64)
    return with_probe(scan, lambda _: wave)


def unexplained(scan: ScanData, probe: npt.NDArray[np.complex64]) -> float:
    few = dataclasses.replace(trial_frames(scan), probe=probe)
    return short_fit(few, no_check).unexplained


def error(solver: AcceleratedSolver, known: SimulatedScan) -> float:
    for _ in range(24):
        solver.one_pass()
    positions = known.scan.positions_px
    inner = scanned_core(positions, solver.problem.canvas.origin_px, margin=2)
    truth = known.ground_truth[scanned_core(positions, margin=2)]
    return score(object_of(solver)[inner], truth).nrmse


@pytest.mark.parametrize('photons', [30, 1e3, 1e5])
def test_a_usual_scan_starts_from_the_moments_without_a_remark(photons: float) -> None:
    scan = known_scan(noise=True, photons=photons).scan
    probe, said = choose_start(scan, no_check)
    np.testing.assert_array_equal(probe, start_probe(scan))
    assert said == ''


def test_a_strong_object_starts_from_the_guess() -> None:
    known = simulated(5.0, 0.6, probe_guess_error=0.1)
    probe, said = choose_start(known.scan, no_check)
    np.testing.assert_array_equal(probe, with_photons_of_frames(known.scan))
    assert said.startswith('the probe started as it was given')


def test_a_weak_object_under_a_guess_out_of_focus_starts_propagated() -> None:
    known = simulated(0.3, 0.1)
    scan = gaussian(known.scan)
    probe, said = choose_start(scan, no_check)
    assert 'propagated by' in said
    assert not np.array_equal(probe, start_probe(scan))


@pytest.mark.slow
def test_starts_that_moments_do_not_give_end_at_the_right_object() -> None:
    strong, weak = simulated(5.0, 0.6, probe_guess_error=0.1), simulated(0.3, 0.1)
    for scan, known, most in ((strong.scan, strong, 0.1), (gaussian(weak.scan), weak, 0.03)):
        solver = prepare_solver(NumpyOps(), scan, InferenceConfig(), no_check)
        assert any(remark.startswith('the probe started') for remark in solver.remarks())
        assert error(solver, known) < most


def test_the_given_probe_gets_the_photons_of_the_good_pixels() -> None:
    scan = make_scan(side=8, bad_pixels=60)
    weak = with_probe(scan, lambda probe: probe / np.float32(3))
    spectrum = np.fft.fftshift(np.fft.fft2(with_photons_of_frames(weak)[0], norm='ortho'))
    photons = scan.counts[:, ~scan.mask].sum() / scan.frame_count
    assert np.sum(np.abs(spectrum[~scan.mask]) ** 2) == pytest.approx(photons, rel=1e-4)


@pytest.mark.parametrize('modes', [1, 2])
def test_a_wide_guess_cut_off_at_its_frame_starts_without_its_phases(modes: int) -> None:
    known = known_scan(noise=True, photons=1e5)
    wide = gaussian(known.scan, width_px=known.scan.frame_size / 3)
    scan = dataclasses.replace(wide, probe=np.repeat(wide.probe, modes, axis=0))
    probe, said = choose_start(scan, no_check)
    assert 'without the phases of the guess' in said
    assert probe.shape == scan.probe.shape
    assert unexplained(scan, probe) < 0.6 * unexplained(scan, start_probe(scan))


def test_a_start_with_which_each_frame_lies_alone_is_not_preferred() -> None:
    """In focus each frame has an object of its own, which explains it at a wrong position too."""
    known = known_scan(step_px=14.0, frame_size=64, side=6)
    probe = propagated(known.scan.probe, 8.0)
    rng = np.random.default_rng(0)
    positions = known.scan.positions_px
    counts = rng.poisson(expected_counts(known.ground_truth, probe, positions))
    scan = dataclasses.replace(
        with_probe(known.scan, lambda _: probe),
        counts=counts.astype(np.float32),
        positions_px=positions + rng.normal(0, 3, positions.shape),
        object_guess=None,
    )
    focused = propagated(probe, -12.0)
    chosen, _ = choose_start(scan, no_check)

    def overlap(of: npt.NDArray[np.complex64]) -> float:
        return frame_overlap(with_probe(scan, lambda _: of))

    assert overlap(focused) < 1.2
    assert min(overlap(probe), overlap(chosen)) > 2
    assert unexplained(scan, focused) < unexplained(scan, chosen)


def out_of_focus(share: float) -> ScanData:
    """Return a scan with its probe, whose light at the edge of the pupil moves that far."""
    known = known_scan(step_px=10.0, frame_size=64, side=6)
    probe = propagated(known.scan.probe, share * known.scan.frame_size)
    expected = expected_counts(known.ground_truth, probe, known.scan.positions_px)
    counts = np.random.default_rng(0).poisson(expected)
    return dataclasses.replace(
        with_probe(known.scan, lambda _: probe),
        counts=counts.astype(np.float32),
        object_guess=None,
    )


@pytest.mark.parametrize(('width_px', 'modes'), [(2.0, 1), (16.0, 2)])
def test_a_guess_far_from_the_probe_is_left_for_a_start_from_the_frames_alone(
    width_px: float, modes: int
) -> None:
    true = out_of_focus(0.3)
    guess = gaussian(true, width_px)
    scan = dataclasses.replace(guess, probe=np.repeat(guess.probe, modes, axis=0))
    probe, said = choose_start(scan, no_check)
    assert said.startswith('found: the guess of the probe leaves')
    assert probe.shape == scan.probe.shape
    assert unexplained(scan, probe) < 0.15
    overlap = frame_overlap(dataclasses.replace(scan, probe=probe))
    assert overlap == pytest.approx(frame_overlap(true), rel=0.1)


def test_frames_alone_are_not_tried_where_a_start_from_the_guess_is_not_poor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr('ptychopinn_plugin.solver.trials.probe_choice.probe_without_guess')
    _, said = choose_start(gaussian(out_of_focus(-0.3), 2.0), no_check)
    assert 'propagated by' in said or 'moved by' in said


def refined(scan: ScanData, probe: npt.NDArray[np.complex64]) -> ScanData:
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    return dataclasses.replace(with_probe(scan, lambda _: probe), metadata=metadata)


def test_a_refined_probe_stays_where_it_is_right() -> None:
    known = known_scan(noise=True, photons=1e5)
    assert choose_again(refined(known.scan, known.scan.probe), no_check) is None
    dark = dataclasses.replace(known.scan, counts=np.full_like(known.scan.counts, 3))
    assert choose_again(refined(dark, gaussian(dark).probe), no_check) is None


def test_a_refined_probe_that_is_wrong_starts_anew_at_nominal_positions() -> None:
    known = known_scan(noise=True, photons=1e5)
    scan = refined(known.scan, gaussian(known.scan, width_px=2).probe)
    nominal = scan.positions_px
    flux = np.linspace(0.5, 1.5, scan.frame_count)
    scan = dataclasses.replace(
        scan,
        positions_px=nominal + 2,
        estimates=Estimates(flux=flux, nominal_positions_px=nominal),
    )
    start = find_start(NumpyOps(), scan, InferenceConfig(update_probe='on'), no_check, None)
    assert any('earlier reconstruction leaves' in remark for remark in start.remarks)
    begun = start.applied(scan)
    assert not begun.metadata.probe_is_refined
    assert begun.estimates.flux is None
    np.testing.assert_array_equal(begun.positions_px, nominal)
    assert unexplained(begun, begun.probe) < 0.8 * unexplained(scan, scan.probe)


@pytest.mark.slow
@pytest.mark.parametrize('framework', [one for one in FRAMEWORKS if 'fused' not in str(one.id)])
def test_a_start_by_a_network_chooses_the_probe_too(framework: str) -> None:
    known = known_scan(noise=True, photons=1e5)
    scan = gaussian(known.scan, width_px=known.scan.frame_size / 3)
    result = run_reconstruction(
        ops_of(framework),
        scan,
        InferenceConfig(estimate_errors=False),
        Monitor(),
        backend='pytorch',
        initial_object=known.ground_truth,
    )
    core = scanned_core(scan.positions_px, result.origin_px, margin=2)
    truth = known.ground_truth[scanned_core(scan.positions_px, margin=2)]
    assert result.warning == ''
    assert score(result.object_canvas[core], truth).nrmse < 0.05
