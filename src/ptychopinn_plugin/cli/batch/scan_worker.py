"""One scan after the other, with one engine."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from ptychopinn_plugin.api import Checkpointing, Engine, make_engine
from ptychopinn_plugin.atomic import refuse_special
from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.cli.batch.tasks import ScanTask
from ptychopinn_plugin.cli.options import Batch, Reconstruct
from ptychopinn_plugin.cli.reconstruct_files import check_files, reconstruct_files
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.config.flag_names import with_flags
from ptychopinn_plugin.errors import Cancelled, OutputError, printable
from ptychopinn_plugin.io.model_file import TrainedModel, resolve_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction

package_logger = logging.getLogger('ptychopinn_plugin')
logger = logging.getLogger(__name__)


class ScanWorker:
    """Reconstructs scans of a batch; the engine is made once and stays warm.

    Args:
        batch: the flags.
        execution: backend, device and threads of the engine.
    """

    def __init__(self, batch: Batch, execution: ExecutionConfig) -> None:
        self._batch = batch
        self._execution = execution
        self._engine: Engine | None = None
        self._model: TrainedModel | None = None

    def run(self, task: ScanTask, monitor: Monitor) -> ScanRecord:
        """Reconstruct a scan, and write its result, picture, record and log.

        Returns:
            The record, also where the scan has a fault.

        Raises:
            Cancelled: the monitor requested a stop; nothing but the log was written.
            OutputError: record or log cannot be written.
        """
        # Before the files are read: a file that changes meanwhile counts as changed.
        origin = task.origin(self._batch)
        with _logging_to(task.log):
            try:
                flags = task.flags(self._batch)
                found = self._reconstruct(flags, task.checkpoint, monitor)
                record = ScanRecord.done(task.name, task.scan, origin, task.output, found)
            except Cancelled:
                raise
            except Exception as error:
                # Whatever one scan raises, the others are to be reconstructed.
                logger.exception('%s has no result', task.scan)
                reason = with_flags(str(error)) or type(error).__name__
                record = ScanRecord.failed(task.name, task.scan, origin, reason)
        record.save(task.record)
        if record.status == 'done':
            with contextlib.suppress(OSError):
                task.checkpoint.unlink()
        return record

    def _reconstruct(
        self, flags: Reconstruct, checkpoint: Path, monitor: Monitor
    ) -> Reconstruction:
        check_files(flags)
        if self._engine is None:
            self._model = resolve_model(flags.model)
            self._engine = make_engine(execution=self._execution)
        plan = Checkpointing(checkpoint, flags.checkpoint_seconds, resume=True, until_done=True)
        return reconstruct_files(flags, self._model, self._engine, monitor, plan)


class LogFile(logging.FileHandler):
    """Writes a log; lines for which the disk has no room are left out, not printed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or leave it out."""
        if self.stream is None:
            return
        with contextlib.suppress(OSError):
            self.stream.write(f'{self.format(record)}{self.terminator}')
            self.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            super().close()


class _LogFormatter(logging.Formatter):
    """Formats lines that are safe to print."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, with the traceback of an error."""
        return printable(super().format(record))


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write what the package logs into a file only, which is emptied before.

    Raises:
        OutputError: the file cannot be opened.
    """
    refuse_special(path)
    try:
        handler = LogFile(path, mode='w', encoding='utf-8', errors='backslashreplace')
    except OSError as error:
        raise OutputError(f'{path} cannot be written: {error.strerror}') from error
    handler.setFormatter(_LogFormatter('%(levelname)s: %(message)s'))
    before = package_logger.handlers, package_logger.level, package_logger.propagate
    package_logger.handlers, package_logger.propagate = [handler], False
    package_logger.setLevel(min(logging.INFO, before[1] or logging.INFO))
    try:
        yield
    finally:
        package_logger.handlers, level, package_logger.propagate = before
        package_logger.setLevel(level)
        handler.close()
