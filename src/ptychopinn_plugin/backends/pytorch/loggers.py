"""Loggers of the losses of a PyTorch training."""

from __future__ import annotations

import logging
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from ptychopinn_plugin.backends.mlflow_runs import runs_in
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError

logger = logging.getLogger(__name__)


class CsvLosses(CSVLogger):
    """Losses in `metrics.csv`; a file that cannot be written does not end the training."""

    def save(self) -> None:
        """Write the file, or log a warning."""
        try:
            super().save()
        except OSError as error:
            logger.warning('%s cannot be written: %s; the training goes on', self.log_dir, error)


def build_logger(execution: ExecutionConfig, folder: Path | None) -> Logger | None:
    """Return the logger of a config; None without a folder.

    Raises:
        BackendUnavailableError: its package is not installed.
    """
    if execution.logger == 'none' or folder is None:
        return None
    try:
        if execution.logger == 'tensorboard':
            return TensorBoardLogger(folder, name='logs')
        if execution.logger == 'mlflow':
            with runs_in(folder) as address:
                return MLFlowLogger('ptychopinn', tracking_uri=address)
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f'the logger {execution.logger!r} cannot be imported ({error}); install it with: '
            "pip install 'ptychopinn-plugin[loggers]', or choose logger = csv"
        ) from error
    return CsvLosses(folder, name='logs')
