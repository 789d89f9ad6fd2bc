"""A solver as an inference config asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, POISSON, NoiseModel
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.amplitude_start import AmplitudeStart
from ptychopinn_plugin.solver.drift import DriftEstimator
from ptychopinn_plugin.solver.estimator import Estimator
from ptychopinn_plugin.solver.flux import FluxEstimator
from ptychopinn_plugin.solver.lattice import LatticeGauge
from ptychopinn_plugin.solver.object_prior import ObjectPrior
from ptychopinn_plugin.solver.probe_modes import hermite_modes
from ptychopinn_plugin.solver.probe_start import start_probe
from ptychopinn_plugin.solver.probe_tilt import ProbeTilt
from ptychopinn_plugin.solver.problem import Problem


def prepare_solver(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    check: Callable[[], None],
    *,
    with_model: bool = False,
) -> AcceleratedSolver:
    """Prepare a scan for passes.

    Args:
        ops: the framework.
        scan: the scan; of its object guess only the shape is used.
        inference: what to estimate, and how.
        check: called before every batch; raises to stop the work.
        with_model: whether a learned stage takes part, which was trained beside plain passes.
    """
    if inference.update_probe:
        scan = dataclasses.replace(scan, probe=start_probe(scan))
    if inference.probe_modes > scan.mode_count:
        scan = dataclasses.replace(scan, probe=hermite_modes(scan.probe, inference.probe_modes))
    noise = noise_model(inference, with_model=with_model)
    bounded = inference.update_probe and noise is POISSON
    estimates = inference.update_flux or inference.update_background or inference.opr_modes > 0
    problem = Problem.of(
        ops,
        scan,
        inference.subsets,
        fixed_probe=not (inference.update_probe or estimates),
        check=check,
        noise=AMPLITUDE if bounded else noise,
    )
    solver = AcceleratedSolver(
        problem,
        inference,
        estimators=tuple(_estimators(inference, noise)),
        prior=ObjectPrior() if inference.object_prior and not with_model else None,
    )
    if inference.update_background:
        size = scan.frame_size
        zeros = ops.array(np.zeros((size, size), np.float32))
        solver.transform(lambda unknowns: unknowns._replace(background=zeros))
    return solver


def noise_model(inference: InferenceConfig, *, with_model: bool) -> NoiseModel:
    """Return the noise model that a config asks for."""
    name = inference.noise_model
    if name == 'auto':
        name = 'amplitude' if with_model else 'poisson'
    models: dict[str, NoiseModel] = {'poisson': POISSON, 'amplitude': AMPLITUDE}
    return models[name]


def _estimators(inference: InferenceConfig, noise: NoiseModel) -> list[Estimator]:
    """Return what is estimated between passes, in this order."""
    found: list[Estimator] = [AmplitudeStart(noise)] if inference.update_probe else []
    if inference.update_flux:
        found.append(FluxEstimator())
    if inference.opr_modes:
        found.append(DriftEstimator(inference.opr_modes))
    if inference.update_probe:
        found += [LatticeGauge(), ProbeTilt()]
    return found
