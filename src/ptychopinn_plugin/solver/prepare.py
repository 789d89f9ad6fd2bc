"""A solver as an inference config asks for it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, POISSON, NoiseModel
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import PassHistory, ScanData
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.amplitude_start import PASSES, PASSES_OF_FEW_FRAMES, AmplitudeStart
from ptychopinn_plugin.solver.constraint_table import Constraints
from ptychopinn_plugin.solver.estimators.drift import DriftEstimator
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.flux import FIRST_PASS, FluxEstimator
from ptychopinn_plugin.solver.estimators.gauges import probe_power
from ptychopinn_plugin.solver.estimators.lattice import LatticeGauge
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.estimators.object_prior import ObjectPrior
from ptychopinn_plugin.solver.estimators.position_refinement import MARGIN_PX, PositionRefiner
from ptychopinn_plugin.solver.estimators.probe_modes import ModeOrder, ModeSelection, hermite_modes
from ptychopinn_plugin.solver.estimators.probe_tilt import ProbeTilt
from ptychopinn_plugin.solver.masked_light import passes_before_probe
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.start import Start, find_start
from ptychopinn_plugin.solver.starting_estimates import start_estimates
from ptychopinn_plugin.solver.starting_object import starting_object
from ptychopinn_plugin.solver.trials.automatic import FEW_FRAMES, resolve_automatic
from ptychopinn_plugin.solver.trials.probe_start import StartOfProbe
from ptychopinn_plugin.solver.trials.scattering import waiting_passes

# Fewer frames determine too little of the object: the updates of different subsets contradict.
FRAMES_OF_A_SUBSET = 16
TINY = 1e-30
BEGINNING = PassHistory()


def prepare_solver(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    check: Callable[[], None],
    *,
    communicator: Communicator | None = None,
    start: Start | None = None,
) -> AcceleratedSolver:
    """Prepare a scan for passes.

    Args:
        ops: the framework.
        scan: the scan; of its object guess only the shape is used, unless `initial` is product.
        inference: what to estimate, and how.
        check: called before every batch; raises to stop the work.
        communicator: of the processes that the scan is divided among; None for this one alone.
        start: what `find_start` has returned before for the same scan; None to call it.
    """
    start = start or find_start(ops, scan, inference, check, communicator)
    if start.is_chosen:
        # What an earlier reconstruction found with another probe is no start.
        inference = inference.model_copy(update={'initial': 'empty'})
    earlier = earlier_passes(scan, inference)
    waiting = waiting_passes(scan, inference, refines=start.refines)
    inference = _settled(inference, scan, earlier, refines=start.refines)
    given, refines = scan.mode_count, start.refines
    scan = _with_starting_modes(start.applied(scan), inference)
    is_guess = refines and not scan.metadata.probe_is_refined
    said = [StartOfProbe(sentence) for sentence in start.remarks]
    noise = noise_model(inference)
    passes = PASSES_OF_FEW_FRAMES if scan.frame_count < FEW_FRAMES else PASSES
    starts = [AmplitudeStart(noise, passes)] if is_guess and noise is POISSON else []
    moves = inference.update_positions != 'off'
    changes = (
        inference.update_flux
        or inference.update_background
        or inference.opr_modes > 0
        or scan.estimates.opr_modes is not None
    )
    problem = Problem.for_scan(
        ops,
        scan,
        subset_count(inference, scan, earlier),
        fixed_probe=not (refines or changes or moves),
        check=check,
        noise=AMPLITUDE if starts else noise,
        margin_px=MARGIN_PX if moves else 0,
        communicator=communicator,
    )
    constraints = Constraints.of(inference)
    gauges = constraints.probe_gauges if refines else []
    estimators = _estimators(inference, scan, given, waiting.get('update_flux', 0))
    solver = AcceleratedSolver(
        problem,
        inference,
        regularizers=tuple(constraints.regularizers),
        constraints=tuple(constraints.probe),
        object_constraints=tuple(constraints.object_),
        estimators=(*said, *starts, *estimators, *gauges, *constraints.filters),
        prior=(object_prior(problem, is_local=start.reflected) if inference.object_prior else None),
        passes_before_probe=passes_before_probe(scan, inference) if is_guess else 0,
        passes_before=earlier.iterations,
        passes_before_background=waiting.get('update_background', 0),
    )
    start_estimates(solver, inference)
    if inference.initial == 'product':
        _continue(solver, scan, inference, earlier)
    return solver


def _continue(
    solver: AcceleratedSolver, scan: ScanData, inference: InferenceConfig, earlier: PassHistory
) -> None:
    """Start a solver at the object of the scan."""
    ops = solver.problem.ops
    # Products have no place for a background.
    lacks = inference.update_background and earlier.finds_background
    begun, background = starting_object(
        solver.problem,
        solver.state.now,
        lacks_background=lacks and scan.estimates.background is None,
    )
    if background is not None:
        placed = ops.array(background)
        solver.change_unknowns(lambda unknowns: unknowns._replace(background=placed))
    solver.continue_at(ops.array(begun))


def object_prior(problem: Problem, *, is_local: bool) -> ObjectPrior:
    """Return the prior of the object of a scan.

    Args:
        problem: the scan; where the prior is local, all of it in one process.
        is_local: whether each pixel is damped as its own dose asks for.
    """
    if not is_local:
        return ObjectPrior()
    ops = problem.ops
    return LocalPrior.for_dose(ops, problem.dose(ops.array(problem.scan.probe)))


def _settled(
    inference: InferenceConfig, scan: ScanData, earlier: PassHistory, *, refines: bool
) -> InferenceConfig:
    """Return a config in which nothing is left to the data, but for `auto` of the positions."""
    settled = resolve_automatic(
        inference, probe_refined=refines, frames=scan.frame_count, tried=earlier.automatic
    )
    power = _power(inference, scan) if refines else 0.0
    changes: dict[str, object] = {'update_probe': 'on' if refines else 'off', 'probe_power': power}
    if inference.auto and refines and earlier.automatic and scan.estimates.opr_modes is not None:
        changes['opr_modes'] = len(scan.estimates.opr_modes)
    return settled.model_copy(update=changes)


def _with_starting_modes(scan: ScanData, inference: InferenceConfig) -> ScanData:
    """Return a scan whose probe has the modes and the power that a config asks for."""
    scan = _with_modes(scan, inference.probe_modes)
    return _scaled_probe(scan, inference.probe_power) if inference.probe_power else scan


def earlier_passes(scan: ScanData, inference: InferenceConfig) -> PassHistory:
    """Return the passes that a reconstruction continues, none where it begins anew."""
    return scan.metadata.history if inference.initial == 'product' else BEGINNING


def subset_count(
    inference: InferenceConfig, scan: ScanData, earlier: PassHistory = BEGINNING
) -> int:
    """Return how many subsets the first pass visits.

    Args:
        inference: how many are asked for.
        scan: the scan.
        earlier: passes that are continued; those have joined subsets that contradict each other.
    """
    wanted = min(inference.subsets, earlier.subsets or inference.subsets)
    return max(1, min(wanted, scan.frame_count // FRAMES_OF_A_SUBSET))


def _with_modes(scan: ScanData, count: int) -> ScanData:
    """Return a scan whose probe has at least some modes, and as many photons as before."""
    if count <= scan.mode_count:
        return scan
    modes = dataclasses.replace(scan, probe=hermite_modes(scan.probe, count))
    return _scaled_probe(modes, probe_power(scan.probe))


def _scaled_probe(scan: ScanData, power: float) -> ScanData:
    """Return a scan whose probe has a power, its variation scaled with it."""
    factor = math.sqrt(power / max(probe_power(scan.probe), TINY))
    return dataclasses.replace(
        scan,
        probe=(scan.probe * np.float32(factor)).astype(np.complex64),
        estimates=scan.estimates.scaled(factor),
    )


def noise_model(inference: InferenceConfig) -> NoiseModel:
    """Return the noise model that a config asks for."""
    models: dict[str, NoiseModel] = {
        'auto': POISSON,
        'poisson': POISSON,
        'amplitude': AMPLITUDE,
    }
    return models[inference.noise_model]


def _power(inference: InferenceConfig, scan: ScanData) -> float:
    """Return the power that a refined probe keeps, 0 where its scale is free.

    Limits of the object's amplitude mean something for a probe of known power only.
    """
    if inference.probe_power or not (
        inference.object_amplitude_min or inference.object_amplitude_max
    ):
        return inference.probe_power
    return probe_power(scan.probe)


def _estimators(
    inference: InferenceConfig, scan: ScanData, given_modes: int, flux_waits: int
) -> list[Estimator]:
    """Return what is estimated between passes, in this order; the flux after some of them."""
    known = scan.estimates
    varies = known.opr_modes is not None
    found: list[Estimator] = []
    if inference.update_flux:
        first_pass = max(flux_waits, FIRST_PASS)
        found.append(FluxEstimator(continued=known.flux is not None, first_pass=first_pass))
    if inference.auto:
        found.append(ModeSelection(given_modes, few_frames=scan.frame_count < FEW_FRAMES))
    if inference.opr_modes:
        selects = inference.auto and not varies
        found.append(DriftEstimator(inference.opr_modes, selects=selects, active=varies))
    if inference.update_positions != 'off':
        constraint = inference.position_constraint
        found.append(PositionRefiner(inference.update_positions, constraint))
    if inference.update_probe == 'on':
        found += [LatticeGauge(), ProbeTilt(), ModeOrder()]
    return found
