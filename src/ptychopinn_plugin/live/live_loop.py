"""The thread of a live reconstruction: passes over what has arrived."""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.backends.protocol import EngineWithOps
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.live.frame_buffer import FrameBuffer
from ptychopinn_plugin.live.growing_canvas import patch_bounds
from ptychopinn_plugin.live.live_solver import LiveSolver, LiveState, Window
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.largest_values import mask_largest_values
from ptychopinn_plugin.scan.photon_scale import match_probe
from ptychopinn_plugin.scan.photons import frame_photons
from ptychopinn_plugin.solver.prepare import FRAMES_OF_A_SUBSET

# Fewer frames give no object that is worth a look, and too little light to scale the probe by.
FIRST_FRAMES = 16
# Detector pixels of the frames of a window: about a fifth of a second of a pass on a core.
WINDOW_PIXELS = 2**22
LEAST_WINDOW, MOST_WINDOW = 64, 1024
# Of a pass with new frames: those that come meanwhile wait for the next one. On a slow or busy
# machine its window has fewer earlier frames.
PASS_SECONDS = 0.25


@dataclass(eq=False)
class LiveLoop:
    """Visits new frames first and earlier ones in the time that is left.

    Each window has all frames that were not visited, as far as they fit, and earlier ones in a
    random order that visits all of them equally often. Where frames arrive faster than passes are
    done, fewer earlier ones are visited again; none is left out.

    Attributes:
        buffer: frames and positions.
        engine: computes.
        inference: settings of the passes; after `refine_iterations` of them over all frames without
            a new one the loop waits.
        start: probe, mask and geometry as given; its frames are not used.
        state: after the last pass; None before the first.
        error: that ended the loop; None while there is none.
    """

    buffer: FrameBuffer
    engine: EngineWithOps
    inference: InferenceConfig
    start: ScanData
    state: LiveState | None = None
    error: BaseException | None = None
    progressed: threading.Condition = field(default_factory=threading.Condition)
    _visited: int = 0
    _rest: list[int] = field(default_factory=list)
    _visits_without_new: int = 0
    _frames_in_time: int = MOST_WINDOW
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def run(self) -> None:
        """Do passes until the buffer is closed; keep the error that ends them."""
        with _Keeping(self), self.engine.computing() as ops:
            solver = None
            while self._wait_for_work():
                if solver is None:
                    solver = self._first_solver(ops)
                self._next_pass(solver)
                with self.progressed:
                    self.state = solver.state
                    self.progressed.notify_all()

    @property
    def window_frames(self) -> int:
        """Most frames of a window."""
        return int(np.clip(WINDOW_PIXELS // self.buffer.size**2, LEAST_WINDOW, MOST_WINDOW))

    def check(self) -> None:
        """Raise Cancelled once the buffer is closed."""
        if self.buffer.closed:
            raise Cancelled('stopped on request')

    def _wait_for_work(self) -> bool:
        """Wait for new pairs or passes still to be done; return False once it is closed."""
        buffer = self.buffer

        def has_work() -> bool:
            count = len(buffer.pairs)
            settled = self._visits_without_new >= self.inference.refine_iterations * count
            return buffer.closed or (
                count >= FIRST_FRAMES and (count > self._visited or not settled)
            )

        with buffer.changed:
            buffer.changed.wait_for(has_work)
            return not buffer.closed

    def _first_solver(self, ops: Ops) -> LiveSolver:
        """Return a solver with the probe in the photons of the first frames."""
        with self.buffer.changed:
            count = min(len(self.buffer.pairs), self.window_frames)
        counts, positions_px = self.buffer.read(range(count))
        mask = mask_largest_values(counts, self.buffer.mask, self.buffer.dtype, [])
        totals = frame_photons(counts, mask)
        probe = match_probe(self.start.probe, totals, mask, 1.0, [])
        start = dataclasses.replace(
            self.start, counts=counts, positions_px=positions_px, probe=probe, mask=mask
        )
        return LiveSolver(ops, start, self.inference, self.check)

    def _next_pass(self, solver: LiveSolver) -> None:
        """Do a pass over the next window."""
        with self.buffer.changed:
            count = len(self.buffer.pairs)
        most, waiting = self.window_frames, count - self._visited
        if waiting:
            most = min(most, max(waiting, self._frames_in_time))
        new = min(waiting, most)
        if new or count > most:
            earlier = self._earlier(most - new)
            window = self._read_window(solver, new, earlier)
            # Frames of a closed shutter show nothing of the object.
            if len(np.unique(window.positions_px, axis=0)) > 1:
                solver.open_window(window)
        began = time.perf_counter()
        solver.one_pass()
        in_time = min(count, most) * PASS_SECONDS / (time.perf_counter() - began)
        self._frames_in_time = int(np.clip(in_time, FRAMES_OF_A_SUBSET, MOST_WINDOW))
        self._visits_without_new = 0 if new else self._visits_without_new + min(count, most)

    def _read_window(self, solver: LiveSolver, new: int, earlier: list[int]) -> Window:
        """Return the next frames that were not visited, with earlier ones."""
        first = self._visited
        counts, positions_px = self.buffer.read([*range(first, first + new), *earlier])
        counts[:, solver.start.mask] = 0
        lit = counts.max(axis=(1, 2)) > 0
        self._visited += new
        with self.buffer.changed:
            bounds = self.buffer.pairs.bounds_px
        assert bounds is not None
        return Window(
            counts[lit],
            positions_px[lit],
            positions_px[:new][lit[:new]],
            patch_bounds(*bounds, self.buffer.size),
            self._visited,
            is_spread=len(earlier) >= new or len(earlier) == first,
        )

    def _earlier(self, most: int) -> list[int]:
        """Return numbers of frames that were visited before, all of them where they fit."""
        if self._visited <= most:
            return list(range(self._visited))
        chosen: list[int] = []
        while len(chosen) < most:
            if not self._rest:
                order: npt.NDArray[np.int64] = self._rng.permutation(self._visited)
                self._rest = order.tolist()
            taken = min(most - len(chosen), len(self._rest))
            chosen += self._rest[-taken:]
            del self._rest[-taken:]
        return list(dict.fromkeys(chosen))


@dataclass(eq=False)
class _Keeping:
    """Keeps the error that a loop ends with, for the thread that asks for its state."""

    loop: LiveLoop

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep the error unless it is the stop that was asked for."""
        with self.loop.progressed:
            if error is not None and not self.loop.buffer.closed:
                self.loop.error = error
            self.loop.progressed.notify_all()
        return True
