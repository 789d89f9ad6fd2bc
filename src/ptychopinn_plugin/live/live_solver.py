"""Passes over some of the frames of a scan that is still being recorded."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.live.growing_canvas import grown, moved, patch_bounds, slices_of
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.overlap_add import add_patches
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.constraint_table import Constraints
from ptychopinn_plugin.solver.estimators.gauges import probe_power
from ptychopinn_plugin.solver.prepare import subset_count
from ptychopinn_plugin.solver.trials.automatic import refines_probe
from ptychopinn_plugin.solver.unknowns import State, Unknowns

# Fewer frames do not determine a probe, and a wrong one makes worse what is added later.
FRAMES_OF_A_PROBE = 64
# Kept for the curve of the picture.
MOST_RESIDUALS = 1000
FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]
Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LiveState:
    """Object and probe after some pass, in NumPy.

    Attributes:
        canvas: where the object lies.
        canvas_object: complex64 (H, W), 1 where no frame lies yet.
        probe: complex64 (modes, N, N), with the power of the probe that was given.
        dose: float32 (H, W), summed |probe|^2 of the frames so far.
        pairs: frames that were visited at least once.
        residuals: of the last passes, each over the frames that it visited.
    """

    canvas: Canvas
    canvas_object: ComplexArray
    probe: ComplexArray
    dose: FloatArray
    pairs: int = 0
    residuals: tuple[float, ...] = ()

    def illuminated(
        self, positions_px: Positions, frame_size: int
    ) -> tuple[ComplexArray, FloatArray, tuple[int, int]]:
        """Return the smallest part of the canvas that holds the frames at some positions.

        Args:
            positions_px: float64 (n, 2), (row, column), object pixels.
            frame_size: side N of a frame.

        Returns:
            Of this part: the object, complex64 (H, W), its dose relative to the largest, float32
            (H, W), and the (row, column) of its first pixel.
        """
        needed = patch_bounds(positions_px.min(axis=0), positions_px.max(axis=0), frame_size)
        place = slices_of(needed, self.canvas)
        dose = self.dose[place]
        coverage = (dose / max(float(dose.max()), 1e-30)).astype(np.float32)
        return self.canvas_object[place], coverage, needed.origin_px


class Window(NamedTuple):
    """Frames of a scan that a pass visits.

    Attributes:
        counts: float32 (w, N, N), photons.
        positions_px: float64 (w, 2), object pixels.
        fresh_px: float64 (f, 2), positions of those of them that were never visited.
        needed: canvas of all positions known.
        pairs: frames of the scan that are visited at least once when this window is done.
        is_spread: whether most of them are spread over the whole scan so far.
    """

    counts: FloatArray
    positions_px: Positions
    fresh_px: Positions
    needed: Canvas
    pairs: int
    is_spread: bool


@dataclass(eq=False)
class LiveSolver:
    """Keeps object and probe, and improves them by passes over windows of frames.

    A pass is one of the accelerated solver, over the frames of a window only: its cost does not
    grow with the scan. The noise model is that of amplitudes, which needs no good start.

    Attributes:
        ops: the framework.
        start: a scan of the first frames: its probe in photons, its mask, its metadata.
        inference: subsets, steps, momentum, constraints, and whether the probe is refined.
        check: called before every batch; raises to stop the work.
    """

    ops: Ops
    start: ScanData
    inference: InferenceConfig
    check: Callable[[], None]
    state: LiveState | None = None
    _solver: AcceleratedSolver | None = None
    _constraints: Constraints = field(init=False)
    _refines: bool = field(init=False)

    def __post_init__(self) -> None:
        """Settle what stays the same for all windows."""
        self._constraints = Constraints.of(self.inference)
        self._refines = refines_probe(self.inference, self.start)

    def open_window(self, window: Window) -> None:
        """Take other frames for the passes that follow, and go on from the present state."""
        state = self._on_canvas(window.needed)
        origin = np.asarray(state.canvas.origin_px)
        scan = dataclasses.replace(
            self.start,
            counts=window.counts,
            positions_px=window.positions_px - origin,
            probe=state.probe,
            object_guess=state.canvas_object,
            metadata=dataclasses.replace(self.start.metadata, scan_index=None),
        )
        dose = _with_frames(state, window.fresh_px)
        self.state = dataclasses.replace(state, dose=dose, pairs=window.pairs)
        # A probe that follows frames side by side drifts, and with it the object of each part of
        # the scan.
        refines = self._refines and window.is_spread and window.pairs >= FRAMES_OF_A_PROBE
        self._solver = self._make_solver(scan, self.state, refines=refines)

    def one_pass(self) -> None:
        """Do a pass over the window; start anew from the given probe where it diverged."""
        if self._solver is None or self.state is None:
            return  # no window had light yet
        try:
            residual = self._solver.one_pass()
        except ReconstructionError:
            blank = np.ones(self.state.canvas.shape, np.complex64)
            self.state = dataclasses.replace(
                self.state, canvas_object=blank, probe=self.start.probe
            )
            self._solver.state = self._placed(self.state)
            residual = self._solver.one_pass()
        self.state = self._rescaled(residual)

    def _on_canvas(self, needed: Canvas) -> LiveState:
        """Return the present state on a canvas that holds what is needed."""
        state = self.state
        if state is None:
            canvas = grown(None, needed)
            blank = np.ones(canvas.shape, np.complex64)
            return LiveState(canvas, blank, self.start.probe, np.zeros(canvas.shape, np.float32))
        canvas = grown(state.canvas, needed)
        if canvas is state.canvas:
            return state
        return dataclasses.replace(
            state,
            canvas=canvas,
            canvas_object=moved(state.canvas_object, state.canvas, canvas, 1),
            dose=moved(state.dose, state.canvas, canvas, 0),
        )

    def _make_solver(self, scan: ScanData, state: LiveState, *, refines: bool) -> AcceleratedSolver:
        config = self.inference.model_copy(update={'update_probe': 'on' if refines else 'off'})
        problem = Problem.for_scan(
            self.ops,
            scan,
            subset_count(config, scan),
            fixed_probe=not refines,
            check=self.check,
        )
        solver = AcceleratedSolver(
            problem,
            config,
            regularizers=tuple(self._constraints.regularizers),
            constraints=tuple(self._constraints.probe),
            object_constraints=tuple(self._constraints.object_),
        )
        solver.state = self._placed(state)
        return solver

    def _placed(self, state: LiveState) -> State:
        """Bring a state to the device, without momentum."""
        now = Unknowns(self._to_device(state.canvas_object), self._to_device(state.probe))
        return State(now, now)

    def _to_device(self, values: ComplexArray) -> Array:
        # A copy: PyTorch shares the memory of arrays on the CPU.
        return self.ops.array(values.copy())

    def _rescaled(self, residual: float) -> LiveState:
        """Return the state after a pass, its probe with the power of the one that was given.

        Frames determine only the product of object and probe: were their scale free, pixels that
        are reached for the first time, which are 1, would not fit the others.
        """
        assert self._solver is not None
        assert self.state is not None
        probe = self.ops.numpy(self._solver.probe)
        power = probe_power(probe)
        factor = math.sqrt(probe_power(self.start.probe) / power) if power > 0 else 1.0
        canvas_object = self.ops.numpy(self._solver.canvas_object)
        covered = np.where(self.state.dose > 0, canvas_object / np.float32(factor), 1)
        return dataclasses.replace(
            self.state,
            canvas_object=covered.astype(np.complex64),
            probe=(probe * np.float32(factor)).astype(np.complex64),
            residuals=(*self.state.residuals[-MOST_RESIDUALS:], residual),
        )


def _with_frames(state: LiveState, positions_px: Positions) -> FloatArray:
    """Return the dose with that of more frames, each at its whole pixel."""
    intensity = np.sum(np.abs(state.probe) ** 2, axis=0)
    corners, _ = patch_placement(positions_px, len(intensity))
    corners -= np.asarray(state.canvas.origin_px)
    return add_patches(state.dose.copy(), itertools.repeat(intensity, len(corners)), corners)
