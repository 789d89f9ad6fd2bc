"""A reconstruction ends by itself once its passes gain no more than noise explains."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, POISSON, NoiseModel
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver.early_stop import EarlyStop, misfit_spread
from tests.solver.scans import known_scan, make_solver


class Listener(Monitor):
    """Keeps the progress."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def on_progress(self, progress: Progress) -> None:
        self.heard.append((progress.step, progress.total))


def run(
    ops: Ops, scan: ScanData, iterations: int = 60, **settings: object
) -> tuple[Reconstruction, Listener]:
    config = InferenceConfig.model_validate({'refine_iterations': iterations, **settings})
    monitor = Listener()
    return run_reconstruction(ops, scan, config, monitor, backend='pytorch'), monitor


def noisy() -> ScanData:
    return known_scan(noise=True, photons=1e4).scan


def test_it_ends_where_more_passes_would_gain_nothing(ops: Ops) -> None:
    stopped, monitor = run(ops, noisy(), update_probe='off', stop_early=True)
    done = len(monitor.heard)
    assert 12 <= done < 60
    assert monitor.heard[-1] == (done, done)
    assert monitor.heard[-2] == (done - 1, 60)
    assert stopped.remarks[0].startswith(f'stopped after {done} of 60 iterations: the last 3 ')
    assert len(stopped.stages) == len(stopped.residual) == done
    whole, _ = run(ops, noisy(), update_probe='off')
    assert len(whole.residual) == whole.iterations == 60
    assert not any('stopped' in remark for remark in whole.remarks)
    # On so few frames momentum lets the residual swing by some percent to the end.
    assert stopped.residual[-1] <= 1.03 * whole.residual[-1]


def test_it_goes_on_while_passes_gain() -> None:
    # Without noise there is always something to gain, within so few iterations.
    result, monitor = run(NumpyOps(), known_scan().scan, 16, update_probe='off', stop_early=True)
    assert monitor.heard[-1] == (16, 16)
    assert not any('stopped' in remark for remark in result.remarks)


def test_a_closing_stage_still_follows() -> None:
    used: list[int] = []

    def stage(canvas_object: Array, direction: Array, dose: Array) -> Array:
        used.append(1)
        return canvas_object

    config = InferenceConfig(refine_iterations=60, stop_early=True)
    monitor = Listener()
    result = run_reconstruction(
        NumpyOps(), noisy(), config, monitor, backend='pytorch', stage=stage
    )
    assert len(used) == 1
    assert monitor.heard[-1][0] == monitor.heard[-1][1] < 61
    assert 'of 60 iterations' in result.remarks[0]
    assert 'gains nothing at this dose' in result.remarks[1]


@pytest.mark.parametrize('noise', [POISSON, AMPLITUDE])
@pytest.mark.parametrize('mean', [100.0, 3.0, 0.02])
def test_the_spread_is_that_of_the_misfit(noise: NoiseModel, mean: float) -> None:
    rng = np.random.default_rng(0)
    ops, shape = NumpyOps(), (4, 32, 32)
    expected = np.full(shape, mean, np.float32)
    misfits = [
        float(noise.misfit(ops, expected, np.sqrt(rng.poisson(expected)).astype('f4'), None))
        for _ in range(200)
    ]
    found = float(np.std(misfits) / np.mean(misfits))
    size = int(np.prod(shape))
    assert found < 1.5 * misfit_spread(size, size * mean)
    if mean > 10:
        assert found == pytest.approx(misfit_spread(size, size * mean), rel=0.15)


def test_subsets_are_joined_first() -> None:
    solver = make_solver(NumpyOps(), noisy(), update_probe=False)
    solver.passes = 100
    rule = EarlyStop(0.001)
    assert not any(rule.is_due(solver, 1.0) for _ in range(10))
    while len(solver.problem.subsets) > 1:
        solver.problem.merge_subsets()
    assert [rule.is_due(solver, 1.0) for _ in range(4)] == [False, False, False, True]
    assert not rule.is_due(solver, 0.9)
