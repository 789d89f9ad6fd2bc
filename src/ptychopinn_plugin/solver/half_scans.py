"""Two reconstructions of half the photons each.

Each count is split at random, so that both parts are independent Poisson counts of half the mean
(thinning). Splitting the frames instead would halve the overlap, which a sparse scan cannot spare.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.scan.nearest_frames import nearest_frames
from ptychopinn_plugin.scan.thinning import split_photons
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.misfits import Misfits, amplitude_misfits
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.start import Start
from ptychopinn_plugin.solver.starting_estimates import found_estimates

# A part of a large scan says how noise becomes an error of the object; the rest follows by dose.
MOST_FRAMES = 400
# From the object of all photons: on scans of 1e3 to 1e6 photons a frame the two halves had come
# apart by then as far as they do with more passes. With five passes of two or of four subsets, the
# errors at 1e4 to 1e6 photons were overestimated by another 8 to 15 %; with three of two, halves
# still agreed at frequencies that the photons do not determine.
PASSES, SUBSETS = 8, 4
# A smaller area has too few Fourier components.
LEAST_SIDE_PX = 24

Complex = npt.NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class Halves:
    """Two objects on the area that was scanned.

    Attributes:
        first: complex64 (h, w).
        second: complex64 (h, w), from the photons that `first` was not made from.
        area: rows and columns of the canvas of the whole reconstruction.
        held_out: of the first to the photons of the second.
    """

    first: Complex
    second: Complex
    area: tuple[slice, slice]
    held_out: Misfits


def reconstruct_halves(solver: AcceleratedSolver, image: Complex, seed: int = 0) -> Halves | None:
    """Reconstruct a scan twice, from half of its photons each.

    Probe, positions, flux, background and variation are held.

    Args:
        solver: with the reconstruction from all photons.
        image: complex64 (H, W), its object on the whole canvas.
        seed: of the random split.

    Returns:
        None where the scanned area is too small.

    Raises:
        Whatever `solver.problem.check` raises to stop the work.
    """
    scan = _central_frames(_as_reconstructed(solver))
    settings, origin = _settings(solver), solver.problem.partition.whole_canvas.origin_px
    rows, columns = scanned_core(scan.positions_px, origin)
    if min(rows.stop - rows.start, columns.stop - columns.start) < LEAST_SIDE_PX:
        return None
    same_prior = Start(reflected=isinstance(solver.prior, LocalPrior))
    objects: list[Complex] = []
    held_out: list[Misfits] = []
    for counts in thinned(scan.counts, seed):
        half = dataclasses.replace(scan, counts=counts)
        one = prepare_solver(
            solver.problem.ops, half, settings, solver.problem.check, start=same_prior
        )
        if objects:
            one.set_object(_on_canvas(one, objects[0], origin))
            held_out.append(amplitude_misfits(one))
        objects.append(_solved(one, image, origin))
    first, second = (half_object[rows, columns] for half_object in objects)
    return Halves(first, second, (rows, columns), held_out[0])


def thinned(counts: npt.NDArray[np.float32], seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """Return two random halves of counts that add up to them, one after the other.

    Args:
        counts: float32 of any shape, not negative where finite; the rest, which a mask must
            cover, becomes 0.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    first = np.empty_like(counts)
    for half, frame in zip(first, counts, strict=True):
        half[:] = split_photons(frame, 0.5, rng)[0]
    yield first
    # What is left of each count, so that they are divided only once.
    second = np.empty_like(counts)
    for half, frame, taken in zip(second, counts, first, strict=True):
        half[:] = np.where(np.isfinite(frame) & (frame > 0), frame - taken, 0)
    yield second


def _as_reconstructed(solver: AcceleratedSolver) -> ScanData:
    """Return the scan as the solver ended, with half of the light."""
    problem = solver.problem
    estimates = found_estimates(solver, math.sqrt(0.5))
    if estimates.background is not None:
        estimates = dataclasses.replace(
            estimates, background=estimates.background * np.float32(0.5)
        )
    probe = problem.ops.numpy(solver.probe) * np.float32(math.sqrt(0.5))
    return dataclasses.replace(
        problem.scan,
        probe=probe.astype(np.complex64),
        positions_px=problem.positions_px,
        object_guess=None,
        true_patches=None,
        estimates=dataclasses.replace(estimates, nominal_positions_px=None),
    )


def _central_frames(scan: ScanData) -> ScanData:
    """Return the frames nearest the middle of a scan, in a square, no more than `MOST_FRAMES`."""
    if scan.frame_count <= MOST_FRAMES:
        return scan
    low, high = scan.positions_px.min(axis=0), scan.positions_px.max(axis=0)
    nearest = nearest_frames(scan.positions_px, (low + high) / 2, MOST_FRAMES, square=True)
    return scan.subset(np.sort(nearest))


def _settings(solver: AcceleratedSolver) -> InferenceConfig:
    """Return the settings of a reconstruction that holds all but the object."""
    return solver.config.model_copy(
        update={
            'auto': False,
            'initial': 'empty',
            'noise_model': solver.problem.noise.name,
            'object_prior': solver.prior is not None,
            'opr_modes': 0,
            'probe_modes': 0,
            'subsets': SUBSETS,
            'update_background': False,
            'update_flux': False,
            'update_positions': 'off',
            'update_probe': 'off',
        }
    )


def _on_canvas(one: AcceleratedSolver, image: Complex, origin_px: tuple[int, int]) -> Array:
    """Bring an object on the canvas of the whole reconstruction to the canvas of a half."""
    (top, left), (height, width) = one.problem.canvas.origin_px, one.problem.canvas.shape
    first, second = origin_px
    part = image[top - first : top - first + height, left - second : left - second + width]
    return one.problem.ops.array(np.ascontiguousarray(part))


def _solved(one: AcceleratedSolver, found: Complex, origin_px: tuple[int, int]) -> Complex:
    """Reconstruct a half; return its object on the canvas of the whole, 1 beside it."""
    one.set_object(_on_canvas(one, found, origin_px))
    for _ in range(PASSES):
        one.one_pass()
    (top, left), (height, width) = one.problem.canvas.origin_px, one.problem.canvas.shape
    first, second = origin_px
    image = np.ones_like(found)
    image[top - first : top - first + height, left - second : left - second + width] = (
        one.problem.ops.numpy(one.canvas_object)
    )
    return image
