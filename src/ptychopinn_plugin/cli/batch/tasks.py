"""What is to be done for one scan of a batch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.cli.batch.records import Origin, ScanRecord, load_record
from ptychopinn_plugin.cli.options import Batch, Reconstruct, ScanFlags
from ptychopinn_plugin.cli.scan_loading import files_beside
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.config.base import field_traits
from ptychopinn_plugin.io.formats import scan_files
from ptychopinn_plugin.settings import InferenceRun

# How a scan is read, the files that are read beside it among them.
READING = tuple(ScanFlags.__annotations__)
# A change of these changes no result.
WITHOUT_EFFECT = {'threads', 'frames_in_memory'}


@dataclass(frozen=True)
class ScanTask:
    """One scan, and where its files go.

    Attributes:
        name: of its files in the folder.
        scan: file or folder.
        folder: for all files of the batch.
        file_type: ending of the result, without dot.
        settings: those that change a result, as JSON; see `settings_text`.
    """

    name: str
    scan: Path
    folder: Path
    file_type: str
    settings: str = ''

    @property
    def output(self) -> Path:
        """The result."""
        return self._file(self.file_type)

    @property
    def picture(self) -> Path:
        """The picture of the result."""
        return self._file('png')

    @property
    def record(self) -> Path:
        """The record, written after result and picture."""
        return self._file('json')

    @property
    def log(self) -> Path:
        """What the reconstruction reports."""
        return self._file('log')

    @property
    def checkpoint(self) -> Path:
        """The state of a reconstruction that was interrupted."""
        return self._file('checkpoint')

    def flags(self, batch: Batch) -> Reconstruct:
        """Return the flags of `reconstruct` for this scan."""
        shared = batch.model_fields_set & set(Reconstruct.model_fields)
        values = {name: getattr(batch, name) for name in shared}
        files = {'scan': self.scan, 'output': self.output, 'picture': self.picture}
        return Reconstruct.model_validate({**values, **files})

    def origin(self, batch: Batch) -> Origin:
        """Return what a result would be made from now."""
        files = [*scan_files(self.scan, batch.product), *files_beside(self.scan, batch)]
        return Origin.of(dict.fromkeys(files), self.settings)

    def finished_record(self, batch: Batch) -> ScanRecord | None:
        """Return the record of a result that is there and made from the same; None without one."""
        record = load_record(self.record)
        if record is None or not self.picture.exists():
            return None
        return record if record.is_result_of(self.origin(batch), self.output) else None

    def _file(self, ending: str) -> Path:
        # Not with_suffix, which cuts a name with dots.
        return self.folder / f'{self.name}.{ending}'


def settings_text(run: InferenceRun, batch: Batch, weights: str) -> str:
    """Return the settings that change a result, as JSON in a fixed order.

    Args:
        run: the settings.
        batch: how the scans are read.
        weights: fingerprint of the model, '' without one.
    """
    execution = {
        name
        for name, field in ExecutionConfig.model_fields.items()
        if field_traits(field).job != 'training'
    }
    parts = {
        'model': weights,
        'inference': run.inference.model_dump(mode='json'),
        'execution': run.execution.model_dump(mode='json', include=execution - WITHOUT_EFFECT),
        'orientation': run.orientation.model_dump(mode='json'),
        'reading': batch.model_dump(mode='json', include=set(READING) - WITHOUT_EFFECT),
    }
    return json.dumps(parts, sort_keys=True)
