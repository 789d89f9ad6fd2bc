"""Frames of a scan that is being recorded: an HDF5 file that grows, or a folder of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.growing_sources import GrowingRows
from ptychopinn_plugin.io.numbered_files import NumberedFiles
from ptychopinn_plugin.io.separate_frames import USUAL_DATASETS
from ptychopinn_plugin.io.writer_state import WriterState


class NewFrames(NamedTuple):
    """Frames that arrived.

    Attributes:
        indices: int64 (b,), their numbers in the scan.
        frames: (b, H, W), as stored.
    """

    indices: npt.NDArray[np.int64]
    frames: npt.NDArray[Any]


class GrowingFrames(Protocol):
    """Where the frames of a scan appear while it is recorded."""

    def read_new(self, most: int) -> NewFrames | None:
        """Return frames that appeared since, about `most` at a time; None where there are none.

        Raises:
            ScanDataError: what appeared holds no frames.
        """

    @property
    def waiting_for(self) -> str:
        """Why nothing was read yet; '' once something was."""

    @property
    def path(self) -> Path:
        """The file or folder."""

    def writer(self) -> WriterState:
        """Return whether they are still being written, where that can be known."""

    def is_gone(self) -> bool:
        """Return whether the place of the frames has disappeared."""

    def left_out(self) -> list[str]:
        """Return what could not be read so far, a sentence each."""

    def close(self) -> None:
        """Close what is open."""


@dataclass(eq=False)
class FramesOfDataset:
    """Frames of a dataset (n, H, W); the number of a row is the index of its frame.

    Attributes:
        dataset: that grows.
    """

    dataset: GrowingRows

    def read_new(self, most: int) -> NewFrames | None:
        """Return the frames that were written since."""
        rows = self.dataset.new_rows(most)
        if rows is None:
            return None
        if rows[1].ndim != 3:
            raise ScanDataError(
                [
                    f'{self.dataset.path} must hold frames of shape (n, N, N), got rows of shape '
                    f'{rows[1].shape[1:]}'
                ]
            )
        return NewFrames(*rows)

    @property
    def waiting_for(self) -> str:
        """Why nothing was read yet."""
        return self.dataset.rows.waiting_for

    @property
    def path(self) -> Path:
        """The file."""
        return self.dataset.path

    def writer(self) -> WriterState:
        """Return whether a process has the file open for writing."""
        return self.dataset.rows.writer() if self.dataset.rows.found else 'unknown'

    def is_gone(self) -> bool:
        """Return whether the file has disappeared."""
        return self.dataset.rows.is_gone()

    def left_out(self) -> list[str]:
        """Return how many frames have no count."""
        count = self.dataset.rows.rows_without_values
        return [f'{count} frames of {self.dataset.path} hold no count'] if count else []

    def close(self) -> None:
        """Close the file."""
        self.dataset.rows.close()


@dataclass(eq=False)
class FramesOfFolder:
    """Frames of numbered files, each with one frame or a stack of them.

    Attributes:
        files: of the folder.
        frames_per_file: what a full file holds: the frame at place i of file k has the index
            (k - first_number) * frames_per_file + i.
        first_number: of the first file.
        datasets: where HDF5 files have their frames; the first one that is there is taken.
    """

    files: NumberedFiles
    frames_per_file: int = 1
    first_number: int = 0
    datasets: tuple[str, ...] = USUAL_DATASETS
    _waiting: list[NewFrames] = field(default_factory=list)
    _seen: bool = False

    def read_new(self, most: int) -> NewFrames | None:
        """Return the frames of files that appeared since."""
        found, count = [], 0
        for path, number, frames in self.files.read_new(self.datasets):
            found.append(self._numbered(path, number, frames))
            count += len(frames)
            if count >= most:
                break
        if not found:
            return None
        self._seen = True
        shapes = {one.frames.shape[1:] for one in found}
        if len(shapes) > 1:
            raise ScanDataError(
                [f'{self.files.folder} holds frames of different shapes: {sorted(shapes)}']
            )
        indices = np.concatenate([one.indices for one in found])
        return NewFrames(indices, np.concatenate([one.frames for one in found]))

    @property
    def waiting_for(self) -> str:
        """Why nothing was read yet."""
        return '' if self._seen else self.files.waiting_for()

    @property
    def path(self) -> Path:
        """The folder."""
        return self.files.folder

    def writer(self) -> WriterState:
        """Return that it cannot be known."""
        return 'unknown'

    def is_gone(self) -> bool:
        """Return whether the folder has disappeared."""
        return self._seen and not self.files.folder.is_dir()

    def left_out(self) -> list[str]:
        """Return the files that could not be read."""
        return self.files.left_out()

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _numbered(self, path: Path, number: int, frames: npt.NDArray[Any]) -> NewFrames:
        """Return the frames of a file with their indices."""
        if len(frames) > self.frames_per_file:
            raise ScanDataError(
                [
                    f'{path} holds {len(frames)} frames, and {self.frames_per_file} are expected '
                    'in a file; say how many a full file holds'
                ]
            )
        first = (number - self.first_number) * self.frames_per_file
        if first < 0:
            raise ScanDataError(
                [f'{path} has the number {number}, below that of the first, {self.first_number}']
            )
        return NewFrames(np.arange(first, first + len(frames), dtype=np.int64), frames)
