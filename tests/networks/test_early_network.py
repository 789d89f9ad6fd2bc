"""The package's network between the first passes, with each engine."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin import InferenceConfig
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.io.model_file import EARLY_FILE, PACKAGED_FILE
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.network_update import EARLY_PASS
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate


@pytest.fixture(scope='module')
def sparse() -> SimulatedScan:
    """Return a scan whose frames overlap by about a third, of a seed of its own."""
    return simulate(
        SimulationConfig(object_kind='lines', rows=6, columns=6, step_px=18.0, seed=921)
    )


def reconstructed(
    engine: Engine, made: SimulatedScan, passes: int, *, early: bool
) -> Reconstruction:
    """Reconstruct from an empty object by passes, with the network between them or without."""
    scan = dataclasses.replace(made.scan, object_guess=np.ones_like(made.ground_truth))
    inference = InferenceConfig(
        refine_iterations=passes,
        early_network=early,
        update_probe='off',
        estimate_errors=False,
        reflections=0,
    )
    return engine.reconstruct(scan, inference, None, Monitor())


def error(made: SimulatedScan, result: Reconstruction) -> float:
    """Return the nrmse over the scanned field."""
    found = result.object_canvas[scanned_core(made.scan.positions_px, result.origin_px, 6)]
    truth = made.ground_truth[scanned_core(made.scan.positions_px, margin=6)]
    return score(np.nan_to_num(found, nan=1.0), truth).nrmse


@pytest.mark.slow
def test_a_sparse_scan_comes_nearer_to_its_sample(engine: Engine, sparse: SimulatedScan) -> None:
    without, with_network = (
        reconstructed(engine, sparse, 12, early=early) for early in (False, True)
    )
    assert error(sparse, with_network) < 0.92 * error(sparse, without)
    assert any('unfinished object' in remark for remark in with_network.remarks)
    assert len(with_network.residual) == 12
    # After the last pass nothing would check its update.
    last, last_without = (
        reconstructed(engine, sparse, EARLY_PASS, early=early) for early in (True, False)
    )
    np.testing.assert_array_equal(last.object_canvas, last_without.object_canvas)


def test_it_changes_the_object_once_and_not_after_the_last_pass(
    sparse: SimulatedScan,
) -> None:
    calls: list[float] = []

    def stage(canvas_object: Array, direction: Array, dose: Array) -> Array:
        assert canvas_object.shape == direction.shape == dose.shape
        calls.append(float(dose.max()))
        return canvas_object * np.complex64(1j)

    def run(passes: int, reflections: int = 0) -> Reconstruction:
        inference = InferenceConfig(
            refine_iterations=passes,
            update_probe='off',
            estimate_errors=False,
            reflections=reflections,
        )
        return run_reconstruction(
            NumpyOps(), sparse.scan, inference, Monitor(), backend='pytorch', early=stage
        )

    turned = run(3).object_canvas
    assert len(calls) == 1
    # The frames do not show a constant phase, so that the pass that follows leaves it.
    assert abs(np.angle(np.nansum(turned)) - np.pi / 2) < 0.5
    run(2)
    assert len(calls) == 1
    # An object of reflections is no early one.
    assert any('started from reflections' in one for one in run(3, reflections=28).remarks)
    assert len(calls) == 1


def test_both_networks_of_the_package_take_two_megabytes_at_most() -> None:
    assert EARLY_FILE.stat().st_size + PACKAGED_FILE.stat().st_size < 2 * 2**20
