"""The fields of a scan that its checks read, separate from `ScanData`, which runs the checks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt

Array = npt.NDArray[Any]


class MetadataFields(Protocol):
    """The field of `ScanMetadata` that is checked."""

    @property
    def scan_index(self) -> Array | None:
        """Number of each frame in its source (n,)."""


class ScanFields(Protocol):
    """The fields of `ScanData` that are checked, of any shape and dtype."""

    @property
    def counts(self) -> Array:
        """Frames (n, N, N)."""

    @property
    def positions_px(self) -> Array:
        """Positions (n, 2)."""

    @property
    def probe(self) -> Array:
        """Probe modes (modes, N, N)."""

    @property
    def mask(self) -> Array:
        """Bad pixels (N, N)."""

    @property
    def object_guess(self) -> Array | None:
        """Starting object (H, W)."""

    @property
    def true_patches(self) -> Array | None:
        """True object under each frame (n, N, N)."""

    @property
    def metadata(self) -> MetadataFields:
        """Geometry of the instrument."""
