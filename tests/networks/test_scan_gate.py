"""The network's update is scaled by what photons support that the reconstruction did not use."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.networks.unrolled.scan_gate import GateMeasurement, measure_gate
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.helpers import KnownScan
from tests.solver.scans import known_scan

SIDE = 9


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return known_scan(side=SIDE, noise=True, photons=2e3)


def finished(known: KnownScan, **settings: object) -> AcceleratedSolver:
    config = InferenceConfig.model_validate({'update_probe': 'off', **settings})
    solver = prepare_solver(NumpyOps(), known.scan, config, lambda: None)
    for _ in range(10):
        solver.one_pass()
    solver.finish()
    return solver


def towards(known: KnownScan, share: float) -> Stage:
    """Return a stage that goes a share of the way to the object, on any crop from the middle."""

    def stage(canvas_object: Array, direction: Array, dose: Array) -> Array:
        whole = known.ground_truth
        if canvas_object.shape == whole.shape:
            return canvas_object + share * (whole - canvas_object)
        # The crop's place is where the object is most alike.
        best = min(
            (
                (row, column)
                for row in range(whole.shape[0] - canvas_object.shape[0] + 1)
                for column in range(whole.shape[1] - canvas_object.shape[1] + 1)
            ),
            key=lambda place: float(np.linalg.norm(part(place, canvas_object) - canvas_object)),
        )
        return canvas_object + share * (part(best, canvas_object) - canvas_object)

    def part(place: tuple[int, int], like: Array) -> Array:
        rows, columns = (slice(a, a + b) for a, b in zip(place, like.shape, strict=True))
        return known.ground_truth[rows, columns]

    return stage


def noisy(canvas_object: Array, direction: Array, dose: Array) -> Array:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, *canvas_object.shape)).astype(np.float32)
    return canvas_object + 0.3 * (noise[0] + 1j * noise[1])


def fitting(canvas_object: Array, direction: Array, dose: Array) -> Array:
    """Fit the noise of the frames that were used: a gain on them, a loss on others."""
    return canvas_object + 3 * direction


@pytest.mark.parametrize('settings', [{}, {'update_flux': True, 'update_background': True}])
def test_an_update_towards_the_object_is_used_in_full(
    known: KnownScan, settings: dict[str, object]
) -> None:
    gate = measure_gate(NumpyOps(), finished(known, **settings), towards(known, 0.7))
    assert gate.factor == 1.0
    assert gate.gain > 3 * gate.error


def test_an_update_that_goes_too_far_is_used_in_part(known: KnownScan) -> None:
    gate = measure_gate(NumpyOps(), finished(known), towards(known, 1.6))
    assert 0.3 < gate.factor < 0.8


@pytest.mark.parametrize('stage', [noisy, fitting])
def test_a_harmful_update_is_not_used(known: KnownScan, stage: Stage) -> None:
    gate = measure_gate(NumpyOps(), finished(known), stage)
    assert gate.factor == 0.0
    assert 'was not used' in gate.remark


def test_the_solver_is_only_read(known: KnownScan) -> None:
    solver = finished(known)
    before = [np.array(one) for one in (solver.canvas_object, solver.probe)]
    misfit = solver.residual()
    measure_gate(NumpyOps(), solver, towards(known, 0.7))
    np.testing.assert_array_equal(solver.canvas_object, before[0])
    np.testing.assert_array_equal(solver.probe, before[1])
    assert solver.residual() == misfit


def test_a_gain_within_noise_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = 10 * rng.normal(size=100)
    deviances = 1e4 + np.stack([0 * noise, noise - 0.5, 2 * noise - 1])
    assert GateMeasurement.from_deviances(deviances).factor == 0.0
    clear = 1e4 + np.stack([0 * noise, 0.1 * noise - 6, 0.2 * noise - 8])
    found = GateMeasurement.from_deviances(clear)
    # -16 f + 8 f^2 is least at 1, -(24 f - 16 f^2) per frame at 3/4.
    assert found.factor == pytest.approx(1.0, abs=0.02)
    past = 1e4 + np.stack([0 * noise, 0.1 * noise - 8, 0.2 * noise - 8])
    assert GateMeasurement.from_deviances(past).factor == pytest.approx(0.75, abs=0.02)


def reconstructed(known: KnownScan, stage: Stage | None) -> Reconstruction:
    config = InferenceConfig(refine_iterations=10, update_probe='off')
    return run_reconstruction(
        NumpyOps(), known.scan, config, Monitor(), backend='pytorch', stage=stage
    )


def test_the_object_is_changed_by_as_much_as_is_supported(known: KnownScan) -> None:
    alone = reconstructed(known, None)
    helped = reconstructed(known, towards(known, 0.7))
    assert helped.stages[-1] == 'network'
    assert any('the network changed the object by 100%' in remark for remark in helped.remarks)
    truth = known.ground_truth

    def error(result: Reconstruction) -> float:
        lit = result.coverage > 0.1
        return float(np.linalg.norm((result.object_canvas - truth)[lit]))

    assert error(helped) < 0.4 * error(alone)
    # What the network changed is told apart from what physics found.
    change = helped.network_change
    assert change is not None
    lit = np.isfinite(helped.object_canvas)
    np.testing.assert_allclose(
        (helped.object_canvas - change)[lit], alone.object_canvas[lit], atol=1e-5
    )
    np.testing.assert_array_equal(np.isfinite(change), lit)
    assert any('the part of the network is' in remark for remark in helped.remarks)


def test_a_network_that_does_not_help_leaves_every_number_as_it_is(known: KnownScan) -> None:
    alone, spoilt = reconstructed(known, None), reconstructed(known, noisy)
    np.testing.assert_array_equal(spoilt.object_canvas, alone.object_canvas)
    np.testing.assert_array_equal(spoilt.residual, alone.residual)
    assert spoilt.stages == alone.stages
    assert spoilt.network_change is None


def test_an_update_that_the_frames_contradict_is_reverted(
    known: KnownScan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        'ptychopinn_plugin.networks.network_update.measure_gate',
        lambda ops, solver, stage, reflections: GateMeasurement(1.0, 100.0, 1.0),
    )
    alone, spoilt = reconstructed(known, None), reconstructed(known, noisy)
    np.testing.assert_array_equal(spoilt.object_canvas, alone.object_canvas)
    assert spoilt.stages == alone.stages
    assert 'would raise the residual' in caplog.text
