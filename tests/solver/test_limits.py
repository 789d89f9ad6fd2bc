"""Constraints and regularisers that settings ask for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.constraints import disc
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.solver.constraint_table import CONSTRAINTS, Constraints
from ptychopinn_plugin.solver.estimators.gauges import (
    ProbeCenter,
    ProbePower,
    probe_center,
    probe_power,
)
from ptychopinn_plugin.solver.estimators.grid_removal import notch_gains
from ptychopinn_plugin.solver.estimators.raster import Raster
from tests.solver.scans import (
    Values,
    core_score,
    known_scan,
    object_of,
    prepared,
    probe_of,
    raster_scan,
)

EVERYTHING: dict[str, Any] = {
    'probe_support': 0.45,
    'probe_fourier_support': 0.45,
    'probe_power': 9e4,
    'center_probe': True,
    'object_amplitude_min': 0.1,
    'object_amplitude_max': 1.2,
    'object_phase_min': -1.2,
    'object_phase_max': 1.5,
    'object_smoothness': 0.01,
    'total_variation': 0.001,
    'remove_grid_artifacts': True,
}


def reconstructed(ops: Ops, scan: ScanData, passes: int, **settings: Any) -> Reconstruction:
    config = InferenceConfig(refine_iterations=passes, **{'update_probe': 'on'} | settings)
    return run_reconstruction(ops, scan, config, Monitor(), backend='pytorch')


def test_every_row_is_off_by_default_and_on_by_its_settings() -> None:
    slots = ('probe', 'object_', 'regularizers', 'probe_gauges', 'filters')
    nothing = Constraints.of(InferenceConfig())
    assert not any(getattr(nothing, slot) for slot in slots)
    everything = Constraints.of(InferenceConfig(**EVERYTHING))
    assert sum(len(getattr(everything, slot)) for slot in slots) == len(CONSTRAINTS)
    assert {name for row in CONSTRAINTS for name in row.settings} == set(EVERYTHING)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'object_amplitude_min': 1.1, 'object_amplitude_max': 1}, 'above object_amplitude_max'),
        ({'object_phase_min': 1, 'object_phase_max': 0.5}, 'got 1 to 0.5 rad'),
        ({'object_phase_min': -2, 'object_phase_max': 2}, 'must be 0 to pi above'),
    ],
)
def test_limits_that_no_object_meets_are_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        InferenceConfig.model_validate(settings)


def test_all_constraints_go_with_all_estimates(ops: Ops) -> None:
    known = raster_scan(side=6)
    moved = np.roll(known.scan.probe, 2, axis=1)
    scan = dataclasses.replace(known.scan, probe=moved)
    estimates = {'update_flux': True, 'update_background': True, 'opr_modes': 1, 'probe_modes': 2}
    result = reconstructed(ops, scan, 6, update_positions='on', **estimates, **EVERYTHING)
    lit = np.isfinite(result.object_canvas)
    amplitude, phase = np.abs(result.object_canvas[lit]), np.angle(result.object_canvas[lit])
    assert amplitude.min() > 0.1 - 1e-4
    assert amplitude.max() < 1.2 + 1e-4
    assert phase.min() > -1.2 - 1e-3
    assert phase.max() < 1.5 + 1e-3
    assert probe_power(result.probe) == pytest.approx(9e4, rel=1e-3)
    assert max(map(abs, probe_center(result.probe))) < 0.6


def variation(image: Values) -> float:
    """Return the mean length of the differences of neighbouring pixels, border left out."""
    inner = image[16:-16, 16:-16]
    down, right = np.diff(inner, axis=0)[:, :-1], np.diff(inner, axis=1)[:-1]
    return float(np.mean(np.hypot(abs(down), abs(right))))


def test_total_variation_smooths_by_its_weight(ops: Ops) -> None:
    scan = known_scan(side=6, noise=True, photons=1000).scan
    free, light, strong = (
        variation(object_of(prepared(ops, scan, 8, total_variation=weight)))
        for weight in (0.0, 0.005, 0.02)
    )
    assert light < 0.97 * free
    assert strong < 0.92 * light


def test_a_probe_stays_within_its_disc(ops: Ops) -> None:
    scan = known_scan(side=5).scan
    within = disc(scan.frame_size, 0.3) > 0
    free, held = (
        probe_of(prepared(ops, scan, 3, probe_support=radius))[0] for radius in (0.0, 0.3)
    )
    assert np.abs(free[~within]).max() > 0
    assert np.abs(held[~within]).max() == 0
    assert np.abs(held[within]).max() > 0


def test_power_and_centre_change_no_frame(ops: Ops) -> None:
    known = known_scan(side=5)
    solver = prepared(ops, known.scan, 3)
    solver.transform(
        lambda u: u._replace(
            probe=ops.array(np.roll(ops.numpy(u.probe), (3, -2), (1, 2))),
            canvas_object=ops.array(np.roll(ops.numpy(u.canvas_object), (3, -2), (0, 1))),
        )
    )
    before = solver.residual()
    assert np.abs(probe_center(probe_of(solver))).max() > 1
    for gauge in (ProbePower(5e4), ProbeCenter()):
        gauge.after_pass(solver)
    # What lies at the rim of the canvas comes in again at the other side.
    assert solver.residual() == pytest.approx(before, rel=0.02)
    assert probe_power(probe_of(solver)) == pytest.approx(5e4, rel=1e-4)
    assert np.abs(probe_center(probe_of(solver))).max() <= 0.51


def test_the_result_has_the_power_that_was_asked_for(ops: Ops) -> None:
    scan = known_scan(side=5).scan
    usual, twice = (
        reconstructed(ops, scan, 4, probe_power=power) for power in (0, 2 * probe_power(scan.probe))
    )
    assert probe_power(usual.probe) == pytest.approx(probe_power(scan.probe), rel=1e-4)
    assert probe_power(twice.probe) == pytest.approx(2 * probe_power(scan.probe), rel=1e-4)
    core = scanned_core(scan.positions_px)
    ratio = twice.object_canvas[core] / usual.object_canvas[core]
    assert np.median(np.abs(ratio)) == pytest.approx(1 / np.sqrt(2), rel=0.02)


def test_a_bound_amplitude_leaves_a_good_object_good(ops: Ops) -> None:
    known = known_scan(side=6)
    highest = float(np.abs(known.ground_truth).max())
    free, bound = (
        prepared(ops, known.scan, 12, object_amplitude_max=limit) for limit in (0.0, highest)
    )
    bound.finish()
    assert np.abs(object_of(bound)).max() < highest + 1e-4
    assert core_score(bound, known).nrmse < 1.3 * core_score(free, known).nrmse


def test_smoothness_smooths_by_its_weight(ops: Ops) -> None:
    scan = known_scan(side=6, noise=True, photons=1000).scan
    free, light, strong = (
        variation(object_of(prepared(ops, scan, 8, object_smoothness=weight)))
        for weight in (0.0, 0.3, 1.0)
    )
    assert light < 0.97 * free
    assert strong < 0.92 * light


def test_a_fourier_support_holds_for_the_variation_too(ops: Ops) -> None:
    settings = {'opr_modes': 2, 'probe_fourier_support': 0.3}
    solver = prepared(ops, known_scan(side=5).scan, 4, **settings)
    outside = np.fft.ifftshift(disc(32, 0.3)) == 0
    found = ops.numpy(solver.state.now.probe)
    spectrum = np.abs(np.fft.fft2(found))
    assert spectrum[:, outside].max() < 1e-4 * spectrum.max()
    varied = solver.state.now.variation
    assert varied is not None


def test_notches_lie_at_the_frequencies_of_the_raster() -> None:
    positions = np.indices((9, 9)).reshape(2, -1).T * np.array([5.0, 8.0])
    raster = Raster.of(positions)
    assert raster is not None
    gains = notch_gains(raster, (80, 80), 1 / 64)
    # 80 / 5 and 80 / 8 cycles over the canvas.
    assert gains[16, 0] < 1e-6
    assert gains[0, 10] < 1e-6
    assert gains[-16, 30] < 1e-6
    assert gains[8, 5] > 0.99
    assert gains[0, 0] == 1


def test_grid_frequencies_leave_the_object(ops: Ops) -> None:
    scan = raster_scan(side=8).scan
    kept, removed = (
        object_of(prepared(ops, scan, 4, remove_grid_artifacts=on)) for on in (False, True)
    )
    raster = Raster.of(scan.positions_px)
    assert raster is not None
    lost = 1 - notch_gains(raster, kept.shape, 1 / np.ptp(scan.positions_px)) > 0.99
    before, after = (np.abs(np.fft.fft2(image))[lost] for image in (kept, removed))
    assert np.linalg.norm(after) < 0.05 * np.linalg.norm(before)


def test_no_raster_is_said(ops: Ops) -> None:
    scan = known_scan(side=5).scan.subset(np.array([0, 1, 2]))
    solver = prepared(ops, scan, 1, remove_grid_artifacts=True)
    assert any('form no raster' in remark for remark in solver.remarks())
