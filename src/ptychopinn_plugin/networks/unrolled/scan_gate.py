"""A gate of the learned stage by the scan at hand, measured on photons that were held out.

A second, smaller reconstruction uses some neighbouring frames and a part of their photons. Its
noise is independent of that of the photons left out, so that their Poisson deviance shows without
bias whether the network's update brings an object closer to the sample (photon thinning: Batson
and Royer, Noise2Self, ICML 2019, doi:10.48550/arXiv.1901.11365). The update of the whole scan is
scaled by the factor of least deviance, and left out where the gain may be noise. The second
reconstruction only reads the first one, which is the same with and without a network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.noise_models import COUNT_FLOOR
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.nearest_frames import nearest_frames
from ptychopinn_plugin.scan.thinning import split_photons
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.prepare import object_prior, subset_count
from ptychopinn_plugin.solver.reflected_object import reflected_object, start_at
from ptychopinn_plugin.solver.sweeps import DeviceBatch, batch_expected
from ptychopinn_plugin.solver.unknowns import Unknowns

# Most photons are kept, for the network's update depends on the dose; those held out are still
# enough: at 1e3 photons a frame, a gain of a tenth of the error is four standard deviations.
KEPT_PHOTONS = 2 / 3
# Frames times passes of the second reconstruction, relative to those of the first.
WORK_SHARE = 0.08
FEWEST_FRAMES, MOST_FRAMES = 49, 256
# More passes only lower errors that photons do not limit.
MOST_PASSES = 12
# Share of the frames that are evaluated, nearest to the centre: at the border of the crop less
# light falls than in the scan.
EVALUATED_SHARE = 0.8
# Standard deviations that the gain has to exceed: a model has been validated before, at that dose.
SIGNIFICANCE = 1.5
# A smaller part of the update than this does not show that the network is right: any image that
# has something of the gradient in it lowers the deviance a little.
LEAST_FACTOR = 0.1
SEED = 0

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class GateMeasurement:
    """What the held-out photons support of the network's update.

    Attributes:
        factor: of the update, 0 to 1.
        gain: of the log-likelihood of the held-out photons by the best factor above 0.
        error: standard deviation of the gain, from the differences between frames.
    """

    factor: float
    gain: float
    error: float

    @property
    def remark(self) -> str:
        """A sentence for the result, in lower case and without a full stop."""
        found = f'({self.gain:+.0f} +- {self.error:.0f})'
        if self.factor > 0:
            return (
                f'the network changed the object by {self.factor:.0%} of its update, which raises '
                f'the log-likelihood of held-out photons {found}'
            )
        return (
            'the network was not used: its update does not raise the log-likelihood of held-out '
            f'photons by more than noise {found}'
        )

    @classmethod
    def from_deviances(cls, deviances: npt.NDArray[np.float64]) -> GateMeasurement:
        """Choose the factor of least deviance on the parabola through three factors.

        Args:
            deviances: float64 (3, frames), of the object with factors 0, 1/2 and 1.
        """
        half, full = deviances[1:] - deviances[0]
        # Of each frame: deviance(f) - deviance(0) = slope f + curvature f^2.
        slope, curvature = 4 * half - full, 2 * full - 4 * half
        total_slope, total_curvature = float(slope.sum()), float(curvature.sum())
        factor = 1.0
        if total_curvature > 0:
            factor = min(max(-total_slope / (2 * total_curvature), 0.0), 1.0)
        # Where no factor gains, the gain of the smallest one shows by how much it fails.
        gains = -(slope + curvature * factor) * factor if factor else -half
        gain = float(gains.sum())
        error = math.sqrt(len(gains)) * float(np.std(gains))
        significant = gain > SIGNIFICANCE * error and factor >= LEAST_FACTOR
        return cls(factor if significant else 0.0, gain, error)


class Crop(NamedTuple):
    """Neighbouring frames on a canvas of their own.

    Attributes:
        frames: int64 (n,), their numbers, those nearest to the centre of the scan first.
        first_px: int64 (2,), coordinate of pixel (0, 0), object pixels.
        shape: (H, W).
    """

    frames: npt.NDArray[np.int64]
    first_px: npt.NDArray[np.int64]
    shape: tuple[int, int]


def measure_gate(
    ops: Ops, solver: AcceleratedSolver, stage: Stage, reflections: int = 0
) -> GateMeasurement:
    """Return the factor of a network's update that held-out photons support.

    Args:
        ops: the framework, for work whose shapes change from scan to scan.
        solver: a finished reconstruction by physics alone; only read.
        stage: the network, see `Stage`.
        reflections: iterations before the passes, where the reconstruction started from them.

    Raises:
        Cancelled: the solver's check asked for a stop.
    """
    crop = _central_crop(solver)
    counts = solver.problem.scan.counts[crop.frames]
    kept, held_out = split_photons(counts, KEPT_PHOTONS, np.random.default_rng(SEED))
    second = _second_solver(ops, solver, crop, kept, KEPT_PHOTONS)
    if reflections:
        start_at(second, reflected_object(second, reflections), second.probe)
    for _ in range(min(solver.passes, MOST_PASSES)):
        second.one_pass()
    second.finish()
    before = second.canvas_object
    change = stage(before, *second.present_direction()) - before
    half = ops.array(np.array(0.5, np.float32))
    objects = [before, before + ops.scale(change, half), before + change]
    evaluated = _second_solver(ops, solver, crop, held_out, 1 - KEPT_PHOTONS)
    deviances = _deviances(evaluated, objects)
    if len(crop.frames) < solver.problem.scan.frame_count:
        deviances = deviances[:, : max(1, round(EVALUATED_SHARE * len(crop.frames)))]
    return GateMeasurement.from_deviances(deviances)


def _central_crop(solver: AcceleratedSolver) -> Crop:
    """Return frames in the middle of the scan."""
    positions, size = solver.problem.positions_px, solver.problem.scan.frame_size
    wanted = round(WORK_SHARE * len(positions) * max(solver.passes / MOST_PASSES, 1))
    count = min(max(wanted, FEWEST_FRAMES), MOST_FRAMES, len(positions))
    frames = nearest_frames(positions, np.median(positions, axis=0), count)
    corners, _ = patch_placement(positions[frames], size)
    first = corners.min(axis=0)
    height, width = (int(side) for side in corners.max(axis=0) + size - first)
    return Crop(frames, first, (height, width))


def _second_solver(
    ops: Ops, solver: AcceleratedSolver, crop: Crop, counts: Floats, share: float
) -> AcceleratedSolver:
    """Return a solver of the object alone from a share of the photons of some frames.

    Probe, positions, flux and background are those that the first solver has found.
    """
    first, now = solver.problem, solver.state.now
    scan = _part(solver, crop, counts, share)
    values = first.frame_values
    same_flux = values.flux_trust is None and values.flux is None
    problem = Problem.for_scan(
        ops,
        scan,
        subset_count(solver.config, scan),
        fixed_probe=now.variation is None and now.background is None and same_flux,
        check=first.check,
        noise=first.noise,
    )
    problem.frame_values.take(values, crop.frames)
    second = AcceleratedSolver(
        problem,
        solver.config.model_copy(update={'update_probe': 'off'}),
        regularizers=solver.regularizers,
        object_constraints=solver.object_constraints,
        prior=(
            None
            if solver.prior is None
            else object_prior(problem, is_local=isinstance(solver.prior, LocalPrior))
        ),
    )
    scale, root = (ops.array(np.array(x, np.float32)) for x in (share, math.sqrt(share)))

    def completed(unknowns: Unknowns) -> Unknowns:
        return unknowns._replace(
            variation=None if now.variation is None else ops.scale(now.variation, root),
            background=None if now.background is None else now.background * scale,
        )

    second.change_unknowns(completed)
    return second


def _part(solver: AcceleratedSolver, crop: Crop, counts: Floats, share: float) -> ScanData:
    """Return some frames with a share of their photons, on a canvas of their own."""
    problem = solver.problem
    part = problem.scan.subset(crop.frames)
    probe = problem.ops.numpy(solver.probe) * math.sqrt(share)
    return dataclasses.replace(
        part,
        counts=counts,
        positions_px=problem.positions_px[crop.frames] - crop.first_px,
        probe=probe.astype(np.complex64),
        object_guess=np.ones(crop.shape, np.complex64),
        true_patches=None,
        metadata=dataclasses.replace(part.metadata, scan_index=None),
    )


def _deviances(solver: AcceleratedSolver, objects: Sequence[Array]) -> npt.NDArray[np.float64]:
    """Return the Poisson deviance of each frame from each object, float64 (objects, frames)."""
    problem = solver.problem
    found = np.zeros((len(objects), problem.scan.frame_count))
    for row, one in zip(found, objects, strict=True):
        unknowns = solver.state.now._replace(canvas_object=one)
        row[:] = _deviances_from(problem, unknowns)
    return found


def _deviances_from(problem: Problem, unknowns: Unknowns) -> npt.NDArray[np.float64]:
    """Return the Poisson deviance of each frame from what the unknowns predict, float64 (n,)."""
    ops, good = problem.ops, np.fft.ifftshift(~problem.scan.mask)
    found = np.zeros(problem.scan.frame_count)

    def add(_: None, batch: FrameBatch, placed: DeviceBatch) -> None:
        expected = ops.numpy(ops.compiled(batch_expected)(unknowns, placed, problem.good))
        counts = ops.numpy(placed.amplitudes)[:, good].astype(np.float64) ** 2
        mean = expected[:, good].astype(np.float64)
        ratio = (counts + COUNT_FLOOR) / (mean + COUNT_FLOOR)
        found[batch.frames] = np.sum(mean - counts + counts * np.log(ratio), axis=1)

    problem.partial_sums(problem.batches(), unknowns, lambda: None, add)
    return found
