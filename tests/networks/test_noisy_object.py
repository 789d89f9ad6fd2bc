"""An object that photons hardly determine is said to be noisy."""

from __future__ import annotations

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import Reconstruction
from tests.solver.scans import known_scan


def _reconstructed(photons: float) -> Reconstruction:
    scan = known_scan(side=9, noise=True, photons=photons).scan
    config = InferenceConfig(refine_iterations=8, update_probe='off', object_prior=False)
    return run_reconstruction(NumpyOps(), scan, config, Monitor(), backend='pytorch')


def test_few_photons_are_a_warning_with_the_error_that_they_leave() -> None:
    noisy = _reconstructed(300)
    assert noisy.quality is not None
    assert noisy.quality.typical_phase_error > 0.1
    assert f'phase errors of {noisy.quality.typical_phase_error:.2g} rad' in noisy.warning


def test_enough_photons_are_none() -> None:
    clear = _reconstructed(1e5)
    assert clear.quality is not None
    assert clear.quality.typical_phase_error < 0.1
    assert clear.warning == ''
