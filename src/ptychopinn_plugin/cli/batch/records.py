"""The record of one scan of a batch: what its result was made from, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

import ptychopinn_plugin
from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.errors import printable_line
from ptychopinn_plugin.scan import Reconstruction

Stamp: TypeAlias = tuple[int, int]
"""Size of a file in bytes, and when it was changed, in nanoseconds."""
LARGEST_RECORD = 1_000_000  # bytes


class Origin(BaseModel):
    """What a result is made from; two that are equal give the same result.

    Attributes:
        files: stamp of each file that is read, None for one that is not there.
        settings: those that change a result, as JSON.
    """

    model_config = ConfigDict(frozen=True)

    files: dict[str, Stamp | None]
    settings: str

    @classmethod
    def of(cls, files: Iterable[Path], settings: str) -> Self:
        """Look at the files as they are now."""
        return cls(
            files={str(path.resolve()): file_stamp(path) for path in files}, settings=settings
        )


class ScanRecord(BaseModel):
    """What came of one scan.

    Attributes:
        name: of the result.
        scan: its file or folder.
        status: 'done' or 'failed'.
        origin: what it was made from.
        result: stamp of the result.
        seconds: of the reconstruction.
        residual: the misfit of the result to its frames, see `Reconstruction.residual`.
        resolution_px: of the object, see `Quality.resolution_px`; None where it is not known.
        resolution_nm: the same on the sample.
        warning: why the object is probably wrong.
        error: why there is no result.
        version: of this package.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    scan: str
    status: Literal['done', 'failed']
    origin: Origin
    result: Stamp | None = None
    seconds: float | None = None
    residual: float | None = None
    resolution_px: float | None = None
    resolution_nm: float | None = None
    warning: str = ''
    error: str = ''
    version: str = ptychopinn_plugin.__version__

    @classmethod
    def done(
        cls, name: str, scan: Path, origin: Origin, output: Path, found: Reconstruction
    ) -> Self:
        """Return the record of a scan whose result is written."""
        residual = float(found.residual[-1]) if found.residual.size else math.nan
        resolution = math.nan if found.quality is None else found.quality.resolution_px
        pixel_nm = math.nan if found.pixel_size_m is None else max(found.pixel_size_m) * 1e9
        return cls(
            name=name,
            scan=str(scan),
            status='done',
            origin=origin,
            result=file_stamp(output),
            seconds=found.seconds,
            residual=_if_finite(residual),
            resolution_px=_if_finite(resolution),
            resolution_nm=_if_finite(resolution * pixel_nm),
            warning=printable_line(found.warning),
        )

    @classmethod
    def failed(cls, name: str, scan: Path, origin: Origin, reason: str) -> Self:
        """Return the record of a scan that could not be reconstructed."""
        error = printable_line(reason)
        return cls(name=name, scan=str(scan), status='failed', origin=origin, error=error)

    def is_result_of(self, origin: Origin, output: Path) -> bool:
        """Return whether a result is there as it was written, and made from these files."""
        is_whole = self.result is not None and file_stamp(output) == self.result
        return self.status == 'done' and self.origin == origin and is_whole

    def save(self, path: Path) -> None:
        """Write the record.

        Raises:
            OutputError: the file cannot be written there.
        """
        with replacing(path) as file:
            file.write(self.model_dump_json(indent=2).encode('utf-8', errors='backslashreplace'))


def load_record(path: Path) -> ScanRecord | None:
    """Return a record, None where there is none or it cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_RECORD:
            return None
        return ScanRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def file_stamp(path: Path) -> Stamp | None:
    """Return size and time of a file, None where there is none.

    Not a checksum, which would read all frames once more.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _if_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
