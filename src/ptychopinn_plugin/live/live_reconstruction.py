"""Reconstruction of a scan while it is being recorded."""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import __version__
from ptychopinn_plugin.api import make_engine, reconstruct
from ptychopinn_plugin.backends.protocol import Engine, EngineWithOps
from ptychopinn_plugin.config import Backend, ExecutionConfig, InferenceConfig
from ptychopinn_plugin.config.model_names import PACKAGED
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.errors import ReconstructionError, ScanDataError
from ptychopinn_plugin.io.frame_files import reads_into_memory
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.live.frame_buffer import FrameBuffer
from ptychopinn_plugin.live.live_loop import LiveLoop
from ptychopinn_plugin.live.live_solver import LiveState
from ptychopinn_plugin.live.starting_scan import SOURCE, starting_scan
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.run_result import covered
from ptychopinn_plugin.scan import Reconstruction, ScanData, ScanMetadata
from ptychopinn_plugin.scan.builder import ScanBuilder
from ptychopinn_plugin.scan.data import BoolArray

# Bytes of frames that are kept in memory by default.
MEMORY_LIMIT = 2**30


class LiveReconstruction:
    """Reconstructs a scan while its frames and positions arrive, in any order and late.

    A thread does passes over what has arrived: over new frames first, and in the time that is left
    over earlier ones. Frames are paired with positions by their indices; what has no partner yet
    waits. Use it as a context manager, or call `close` or `finish` at the end.

    Memory: frames keep the dtype that they are given with (floating-point numbers as float32) and
    stay in memory up to `memory_limit`; further ones go to a temporary file in TMPDIR. Beside them
    there are about 200 bytes a frame, 64 bytes a pixel of the canvas, and a window of at most 1024
    frames as float32, counts and amplitudes (32 MiB for frames of 64 x 64).

    Args:
        probe: complex (modes, N, N) or (N, N), real space, centred on N//2, in any scale: it is
            scaled to the photons of the first frames where its own are far from them.
        geometry: of the instrument. With `probe_is_refined` the probe is kept as it is, unless
            `inference` asks for it to be refined.
        mask: bool (N, N), True where a detector pixel is bad, zero frequency at N//2.
        backend: 'pytorch' or 'tensorflow'; None takes that of `execution`, or the installed one.
        execution: device and threads.
        engine: from `make_engine`, in place of `backend` and `execution`.
        inference: settings of the passes and of `finish`.
        model: for `finish`, as in `reconstruct`; the passes are physics alone.
        memory_limit: bytes of frames in memory.

    Raises:
        ScanDataError: probe or mask have a fault.
        BackendUnavailableError: the backend is not installed.
        TypeError: an engine was given together with a backend or an execution config, or one that
            computes in another process.
    """

    def __init__(
        self,
        probe: npt.NDArray[Any],
        geometry: ScanMetadata | None = None,
        *,
        mask: BoolArray | None = None,
        backend: Backend | None = None,
        execution: ExecutionConfig | None = None,
        engine: Engine | None = None,
        inference: InferenceConfig | None = None,
        model: TrainedModel | str | Path | None = PACKAGED,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        if engine is not None and (backend is not None or execution is not None):
            raise TypeError(
                'LiveReconstruction got an engine together with a backend or an execution config; '
                'give the engine or the other two, not both'
            )
        start = starting_scan(probe, geometry, mask)
        self._engine = _with_ops(engine or make_engine(backend, execution))
        self._inference = inference or InferenceConfig()
        self._model = model
        self._given = start
        self._started = time.perf_counter()
        self._buffer = FrameBuffer(start.frame_size, start.mask, memory_limit)
        self._loop = LiveLoop(self._buffer, self._engine, self._inference, start)
        thread = threading.Thread(target=self._loop.run, name='live passes', daemon=True)
        # Also where it is dropped or the interpreter ends: a daemon would be cut off in its work.
        self._close = weakref.finalize(self, _end, self._buffer, thread)
        thread.start()

    def append(
        self,
        frames: npt.NDArray[Any] | None = None,
        positions_px: npt.NDArray[Any] | None = None,
        *,
        indices: npt.NDArray[Any] | None = None,
    ) -> None:
        """Add frames, positions or both; returns at once.

        Where a part of what is given has a fault, nothing of it is added.

        Args:
            frames: (n, N, N) or one (N, N), photons, zero frequency at N//2; integers are kept as
                such.
            positions_px: float (n, 2), (row, column), object pixels, as `ScanData.positions_px`;
                those that come first also say how large the canvas is going to be.
            indices: int (n,), not negative, the number in the scan of each frame and position that
                is given; None for those that follow the greatest one so far.

        Raises:
            ScanDataError: another shape or dtype, values that are no counts, an index that was
                given before, or the scan is finished.
            OutputError: frames beyond the memory limit cannot be written to the temporary file.
        """
        if self._buffer.closed:
            raise ScanDataError(['the live reconstruction is closed; make another one'])
        self._buffer.append(frames, positions_px, indices)

    @property
    def frame_count(self) -> int:
        """Number of frames that have a position."""
        return len(self._buffer.pairs)

    @property
    def waiting_frames(self) -> int:
        """Number of frames without a position."""
        return self._buffer.pairs.waiting_frames

    @property
    def waiting_positions(self) -> int:
        """Number of positions without a frame."""
        return self._buffer.pairs.waiting_positions

    @property
    def frames_in_picture(self) -> int:
        """Number of frames that `current` is made from: those visited by a pass at least once."""
        state = self._loop.state
        return 0 if state is None else state.pairs

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all frames that have a position are in the picture.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            Whether they are. Fewer than 16 frames give no picture.

        Raises:
            PtychoPINNError: the passes ended with an error.
        """

        def is_done() -> bool:
            ended = self._loop.error is not None or self._buffer.closed
            return ended or self.frames_in_picture >= self.frame_count

        with self._loop.progressed:
            self._loop.progressed.wait_for(is_done, timeout)
        self._raise_error()
        return self.frames_in_picture >= self.frame_count

    def current(self) -> Reconstruction | None:
        """Return the state after the last pass; None before the first, which needs 16 frames.

        Object and probe are those of passes over parts of the scan: noisier than the result of
        `finish`, and without errors, network, or what else is estimated beside object and probe.

        Raises:
            PtychoPINNError: the passes ended with an error.
        """
        self._raise_error()
        state = self._loop.state
        return None if state is None else self._result(state)

    def scan(self) -> ScanData:
        """Return the frames that have a position, in the order of their indices, as a scan.

        Frames without light are left out, and the probe is in the scale of the photons, as where a
        scan is read from a file. The frames stay where they are if twice their size as float32 does
        not fit into free memory.

        Raises:
            ScanDataError: there are no such frames, or they are no scan.
        """
        indices, counts, positions_px = self._buffer.in_order()
        if reads_into_memory('auto', counts.shape):
            counts = counts[:]
        builder = ScanBuilder(
            SOURCE,
            counts=counts,
            positions_px=positions_px,
            probe=self._given.probe,
            mask=self._given.mask,
            metadata=dataclasses.replace(self._given.metadata, scan_index=indices),
        )
        builder.mask_largest_values(self._buffer.dtype)
        return builder.build()

    def outline(self, count: int) -> ScanData:
        """Return the frames of a picture as a scan whose values are not read, to save it.

        Args:
            count: frames in the picture, `len(current().positions_px)`.

        Raises:
            ScanDataError: there is none.
        """
        indices, counts, positions_px = self._buffer.in_order(count)
        metadata = dataclasses.replace(self._given.metadata, scan_index=indices)
        return dataclasses.replace(
            self._given, counts=counts, positions_px=positions_px, metadata=metadata
        )

    def finish(self, monitor: Monitor | None = None) -> Reconstruction:
        """End the passes and reconstruct all frames that have a position, from the start.

        This is `reconstruct(live.scan(), ...)`, with the settings and the model that were given;
        it does not start from the live state, so that it does not depend on the order and the
        speed in which the frames came.

        Args:
            monitor: receives each step and may request a stop.

        Raises:
            ScanDataError: there are no such frames, or they are no scan.
            Cancelled: the monitor requested a stop.
        """
        self.close()
        return reconstruct(
            self.scan(),
            model=self._model,
            inference=self._inference,
            engine=self._engine,
            monitor=monitor,
        )

    def close(self) -> None:
        """End the passes; `current`, `scan` and `finish` still work."""
        self._close()

    def __enter__(self) -> LiveReconstruction:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the passes."""
        self.close()

    def _raise_error(self) -> None:
        """Raise the error that ended the passes."""
        error = self._loop.error
        if error is not None:
            raise ReconstructionError(f'the live passes ended: {error}') from error

    def _result(self, state: LiveState) -> Reconstruction:
        """Return a state on the smallest canvas that holds its frames."""
        indices, _, positions_px = self._buffer.in_order(state.pairs)
        image, coverage, origin_px = state.illuminated(positions_px, self._given.frame_size)
        return Reconstruction(
            object_canvas=covered(image, coverage),
            origin_px=origin_px,
            probe=state.probe,
            positions_px=positions_px,
            coverage=coverage,
            residual=np.asarray(state.residuals, np.float64),
            stages=('solver',) * len(state.residuals),
            backend=self._engine.backend,
            seconds=time.perf_counter() - self._started,
            pixel_size_m=self._given.metadata.pixel_size_m,
            scan_index=indices,
            remarks=(f'live, {state.pairs} frames so far',),
            settings=settings_lines(self._inference),
            version=__version__,
            probe_refined=not np.array_equal(state.probe, self._given.probe),
        )


def _with_ops(engine: Engine) -> EngineWithOps:
    """Return an engine that computes in this process."""
    if isinstance(engine, EngineWithOps):
        return engine
    raise TypeError(
        f'{type(engine).__name__} computes in another process; a live reconstruction needs an '
        'engine from make_engine'
    )


def _end(buffer: FrameBuffer, thread: threading.Thread) -> None:
    """End the thread of a live reconstruction."""
    buffer.close()
    thread.join()
