"""Follows the files of a scan that is being recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.growing_frames import GrowingFrames
from ptychopinn_plugin.io.growing_positions import GrowingPositions, NewPositions

logger = logging.getLogger(__name__)

# Frames of one reading: a fraction of a second of a fast detector.
FRAMES_A_READING = 256
POLL_SECONDS = 0.05
# A poll of a folder with many files takes this share of the time at most.
POLL_SHARE = 0.2
# A file that its writer has closed may be opened again for the next frames.
CLOSED_SECONDS = 1.0


class TakesFrames(Protocol):
    """What a watcher gives frames and positions to, such as a `LiveReconstruction`."""

    @property
    def frame_count(self) -> int:
        """Number of frames that have a position."""

    def append(
        self,
        frames: npt.NDArray[Any] | None = None,
        positions_px: npt.NDArray[Any] | None = None,
        *,
        indices: npt.NDArray[Any] | None = None,
    ) -> None:
        """Add frames or positions; raises ScanDataError and adds nothing where one has a fault."""


@dataclass(eq=False)
class Watcher:
    """Gives frames and positions to a live reconstruction as they are written.

    Attributes:
        live: takes them.
        frames: where the frames appear.
        positions: where the positions appear.
        to_px: object pixels for a unit of the positions.
        orientation: transpose first, then a flip reverses the sign of an axis.
        show: called now and then with passes done since; writes a picture and a product.
        every_s: seconds between two calls of it.
        idle_s: seconds without a new frame or position after which the scan has ended.
        expected: number of frames with a position after which it has ended; None if not known.
        should_stop: asked at every reading.
    """

    live: TakesFrames
    frames: GrowingFrames
    positions: GrowingPositions
    show: Callable[[], None]
    should_stop: Callable[[], bool]
    to_px: float = 1.0
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    every_s: float = 10.0
    idle_s: float = 30.0
    expected: int | None = None

    def follow(self) -> tuple[str, str]:
        """Follow the files until the scan ends.

        Returns:
            Why it ended, and what is wrong with it, '' where nothing is; all frames before the
            fault were taken.
        """
        try:
            reason, fault = self._until_the_end()
        except ScanDataError as error:
            reason, fault = 'it has a fault', str(error)
        finally:
            self.frames.close()
            self.positions.close()
        return reason, fault

    def _until_the_end(self) -> tuple[str, str]:
        """Read until there is a reason to end."""
        grown = shown = time.monotonic()
        while True:
            began = time.monotonic()
            if self._take():
                grown = began
            elif end := self._end(began - grown):
                return end
            if self.expected is not None and self.live.frame_count >= self.expected:
                return f'all {self.expected} frames came', ''
            if self.should_stop():
                return 'it was interrupted', ''
            if began - shown >= self.every_s:
                self.show()
                shown = time.monotonic()
            if grown != began:
                time.sleep(max(POLL_SECONDS, (time.monotonic() - began) / POLL_SHARE))

    def _take(self) -> bool:
        """Append what appeared since; return whether there was something."""
        points = self._oriented(self.positions.read_new())
        if points is not None:
            self._append(None, points.values, points.indices)
        found = self.frames.read_new(FRAMES_A_READING)
        if found is not None:
            self._append(found.frames, None, found.indices)
        return points is not None or found is not None

    def _end(self, idle_s: float) -> tuple[str, str] | None:
        """Return why the scan has ended, where nothing was read for some seconds."""
        if self.frames.is_gone():
            return 'the frames disappeared', f'{self._source()} disappeared while it was read'
        state = self.frames.writer()
        if state == 'closed' and idle_s >= CLOSED_SECONDS:
            self._take_last()
            return 'the file was closed', self._left_out()
        if idle_s < self.idle_s:
            return None
        self._take_last()
        reason = f'nothing came for {self.idle_s:g} s'
        if state == 'writing':
            return reason, (
                f'{self._source()} has not grown for {self.idle_s:g} s and was not closed: the '
                'program that writes it has probably ended'
            )
        if self.frames.waiting_for:
            return reason, f'no frame came in {self.idle_s:g} s: {self.frames.waiting_for}'
        return reason, self._left_out()

    def _left_out(self) -> str:
        """Return what could not be read, '' where all could."""
        return '; '.join(self.frames.left_out())

    def _take_last(self) -> None:
        """Append a last position that could have been none while more might come."""
        points = self._oriented(self.positions.read_last())
        if points is not None:
            self._append(None, points.values, points.indices)

    def _append(
        self,
        frames: npt.NDArray[Any] | None,
        points: npt.NDArray[np.float64] | None,
        indices: npt.NDArray[np.int64],
    ) -> None:
        """Append together; where one has a fault, each for itself up to that one.

        Raises:
            ScanDataError: of the first fault.
        """
        try:
            self.live.append(frames, points, indices=indices)
        except ScanDataError:
            for place in range(len(indices)):
                some = slice(place, place + 1)
                self.live.append(
                    None if frames is None else frames[some],
                    None if points is None else points[some],
                    indices=indices[some],
                )

    def _oriented(self, points: NewPositions | None) -> NewPositions | None:
        """Return positions in object pixels along the detector's axes."""
        if points is None:
            return None
        values = points.values * self.to_px
        if self.orientation.transpose:
            values = values[:, ::-1]
        signs = [-1 if flip else 1 for flip in (self.orientation.flip_y, self.orientation.flip_x)]
        return NewPositions(points.indices, values * signs)

    def _source(self) -> str:
        return str(self.frames.path)
