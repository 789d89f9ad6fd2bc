"""The object that a reconstruction starts from, where it is no empty one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import Canvas, ScanData
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.sweeps import DeviceBatch, predict
from ptychopinn_plugin.solver.unknowns import Unknowns

# Relative spread of an object guess below which it is an empty canvas, up to rounding.
FLAT = 1e-5
# Share of the photons that are no background: a probe in another scale predicts less.
LEAST_LIGHT = 0.5


def starting_object(
    problem: Problem, start: Unknowns, *, lacks_background: bool = False
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32] | None]:
    """Return the scan's object guess on the canvas, in the scale of the counts, and a background.

    The probe of a product is scaled to photons when it is read; its object is scaled here, so that
    both together predict as many photons as were measured.

    Args:
        problem: the prepared scan.
        start: the probe, and what else the frames depend on.
        lacks_background: whether passes found the object together with a background that is not
            known any more: then the photons that both predict too few are a background, the same
            at all pixels.

    Returns:
        complex64 (H, W), on the canvas of the problem, 1 beside the guess; float32 (N, N), counts,
        None unless it was lacking.

    Raises:
        ScanDataError: there is no object guess, or a flat one.
    """
    placed = place_guess(problem.scan, problem.partition.whole_canvas)
    placed = _part(placed, problem)
    ops = problem.ops
    unknowns = start._replace(canvas_object=ops.array(placed), background=None)
    good = 1 if problem.good is None else problem.good
    dark = 0.0
    if start.background is not None:
        dark = ops.number(ops.sum(start.background * good)) * problem.scan.frame_count

    flux = problem.scan.estimates.flux

    def add(total: float, frames: FrameBatch, batch: DeviceBatch) -> float:
        if flux is not None:
            # Not each frame's own ratio, with which any object predicts the measured photons.
            placed_flux = ops.array(flux[frames.frames].astype(np.float32))
            batch = batch._replace(flux_trust=None, flux=placed_flux)
        counts = predict(ops, unknowns, batch, problem.good).counts
        return total + ops.number(ops.sum(counts * good))

    parts = problem.partial_sums(problem.batches(), unknowns, float, add)
    predicted = problem.partition.total(sum(parts))
    measured = max(problem.total_counts - dark, 0.0)
    if lacks_background and LEAST_LIGHT * measured < predicted <= measured:
        size = problem.scan.frame_size
        counts = (measured - predicted) / max(problem.good_pixels, 1)
        return placed, np.full((size, size), counts, np.float32)
    factor = np.sqrt(measured / predicted) if predicted > 0 else 1.0
    return (placed * np.float32(factor)).astype(np.complex64), None


def place_guess(scan: ScanData, canvas: Canvas) -> npt.NDArray[np.complex64]:
    """Return the object guess at its place on a canvas, complex64 (H, W), 1 elsewhere.

    Raises:
        ScanDataError: there is no object guess, or a flat one.
    """
    guess = scan.object_guess
    if guess is None or _is_flat(guess):
        found = 'no object' if guess is None else 'an object that is the same everywhere'
        raise ScanDataError(
            [
                f'initial = product starts from the object of the scan, which comes with {found}; '
                'give a product that was reconstructed, or take initial = empty'
            ],
            scan.source,
        )
    placed = np.ones(canvas.shape, np.complex64)
    top, left = (-start for start in canvas.origin_px)
    placed[top : top + guess.shape[0], left : left + guess.shape[1]] = guess
    return placed


def _part(image: npt.NDArray[np.complex64], problem: Problem) -> npt.NDArray[np.complex64]:
    """Return the part of an image on the canvas of the scan that a process has."""
    (height, width), whole = problem.canvas.shape, problem.partition.whole_canvas
    top, left = np.subtract(problem.canvas.origin_px, whole.origin_px)
    return image[top : top + height, left : left + width]


def _is_flat(guess: npt.NDArray[np.complex64]) -> bool:
    """Return whether an object is the same everywhere."""
    first = complex(guess.flat[0])
    return bool(np.abs(guess - first).max() <= FLAT * max(abs(first), 1e-30))
