"""A solver as an inference config asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.constraints import ProbeConstraint, ProbeSupport
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, POISSON, NoiseModel
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.regularizers import Regularizer, TotalVariation
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.amplitude_start import PASSES, PASSES_OF_FEW_FRAMES, AmplitudeStart
from ptychopinn_plugin.solver.automatic import FEW_FRAMES, refines_probe, resolve_automatic
from ptychopinn_plugin.solver.drift import DriftEstimator
from ptychopinn_plugin.solver.estimator import Estimator
from ptychopinn_plugin.solver.flux import FluxEstimator
from ptychopinn_plugin.solver.lattice import LatticeGauge
from ptychopinn_plugin.solver.object_prior import ObjectPrior
from ptychopinn_plugin.solver.position_refinement import MARGIN_PX, PositionRefiner
from ptychopinn_plugin.solver.probe_modes import ModeOrder, ModeSelection, hermite_modes
from ptychopinn_plugin.solver.probe_start import start_probe
from ptychopinn_plugin.solver.probe_tilt import ProbeTilt
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.starting_object import starting_object

# Fewer frames determine too little of the object: the updates of different subsets contradict.
FRAMES_OF_A_SUBSET = 16


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
        scan: the scan; of its object guess only the shape is used, unless `initial` is product.
        inference: what to estimate, and how.
        check: called before every batch; raises to stop the work.
        with_model: whether a learned stage takes part, which was trained beside plain passes.
    """
    refines = refines_probe(inference, scan, with_model=with_model)
    switched = {'update_probe': 'on' if refines else 'off'}
    inference = resolve_automatic(
        inference, probe_refined=refines, frames=scan.frame_count
    ).model_copy(update=switched)
    given = scan.mode_count
    # A probe that was refined before is better than a start from the moments of the frames.
    is_guess = refines and not scan.metadata.probe_is_refined
    if is_guess:
        scan = dataclasses.replace(scan, probe=start_probe(scan))
    scan = _with_modes(scan, inference.probe_modes)
    noise = noise_model(inference, with_model=with_model)
    passes = PASSES_OF_FEW_FRAMES if scan.frame_count < FEW_FRAMES else PASSES
    starts = [AmplitudeStart(noise, passes)] if is_guess and noise is POISSON else []
    moves = inference.update_positions != 'off'
    estimates = inference.update_flux or inference.update_background or inference.opr_modes > 0
    problem = Problem.for_scan(
        ops,
        scan,
        inference.subsets if with_model else _subsets(inference, scan),
        fixed_probe=not (refines or estimates or moves),
        check=check,
        noise=AMPLITUDE if starts else noise,
        margin_px=MARGIN_PX if moves else 0,
    )
    solver = AcceleratedSolver(
        problem,
        inference,
        regularizers=_regularizers(inference),
        constraints=_constraints(inference),
        estimators=(*starts, *_estimators(inference, given)),
        prior=ObjectPrior() if inference.object_prior and not with_model else None,
    )
    if inference.update_background:
        zeros = ops.array(np.zeros((scan.frame_size, scan.frame_size), np.float32))
        solver.change_unknowns(lambda unknowns: unknowns._replace(background=zeros))
    if inference.initial == 'product':
        solver.set_object(ops.array(starting_object(problem)))
    return solver


def _subsets(inference: InferenceConfig, scan: ScanData) -> int:
    """Return how many subsets a pass visits."""
    return max(1, min(inference.subsets, scan.frame_count // FRAMES_OF_A_SUBSET))


def _with_modes(scan: ScanData, count: int) -> ScanData:
    """Return a scan whose probe has at least some modes, and as many photons as before."""
    if count <= scan.mode_count:
        return scan
    probe = hermite_modes(scan.probe, count)
    factor = np.linalg.norm(scan.probe) / max(float(np.linalg.norm(probe)), 1e-30)
    return dataclasses.replace(scan, probe=(probe * factor).astype(np.complex64))


def noise_model(inference: InferenceConfig, *, with_model: bool) -> NoiseModel:
    """Return the noise model that a config asks for."""
    name = inference.noise_model
    if name == 'auto':
        name = 'amplitude' if with_model else 'poisson'
    models: dict[str, NoiseModel] = {'poisson': POISSON, 'amplitude': AMPLITUDE}
    return models[name]


def _regularizers(inference: InferenceConfig) -> tuple[Regularizer, ...]:
    """Return the penalties of the object."""
    weight = inference.total_variation
    return (TotalVariation(weight),) if weight else ()


def _constraints(inference: InferenceConfig) -> tuple[ProbeConstraint, ...]:
    """Return the constraints of a refined probe."""
    return (ProbeSupport(inference.probe_support),) if inference.probe_support else ()


def _estimators(inference: InferenceConfig, given_modes: int) -> list[Estimator]:
    """Return what is estimated between passes, in this order."""
    found: list[Estimator] = []
    if inference.update_flux:
        found.append(FluxEstimator())
    if inference.auto:
        found.append(ModeSelection(given_modes))
    if inference.opr_modes:
        found.append(DriftEstimator(inference.opr_modes, selects=inference.auto))
    if inference.update_positions != 'off':
        found.append(PositionRefiner(inference.update_positions))
    if inference.update_probe == 'on':
        found += [LatticeGauge(), ProbeTilt(), ModeOrder()]
    return found
