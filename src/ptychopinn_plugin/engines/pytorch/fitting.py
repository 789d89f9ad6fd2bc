"""Runs a training in Lightning: logging, checkpoints, early stopping, stop on request."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.engines.protocol import Monitor, Progress
from ptychopinn_plugin.engines.pytorch.training import StageTraining
from ptychopinn_plugin.engines.trust import Trust
from ptychopinn_plugin.errors import BackendUnavailableError, Cancelled, CheckpointError

CHECKPOINT_NAME = 'last.ckpt'
LEAST_LOSS = 1e-6


class Keeper(Callback):
    """Keeps the best weights, the history and tells the monitor.

    Attributes:
        weights: of the best epoch so far, None before the first.
        trust: measured at that epoch.
        losses: (training, validation) of every epoch.
    """

    def __init__(self, monitor: Monitor, on_better: Callable[[Keeper], None]) -> None:
        self.monitor = monitor
        self.on_better = on_better
        self.began = time.perf_counter()
        self.weights: dict[str, torch.Tensor] | None = None
        self.trust = Trust.full()
        self.best = float('inf')
        self.losses: list[tuple[float, float]] = []

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Report a step."""
        module = cast('StageTraining', pl_module)
        per_epoch = module.config.steps_per_epoch
        step = trainer.current_epoch * per_epoch + batch_idx + 1
        self._tell(step, per_epoch * module.config.epochs, module.epoch_losses[-1], None)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Keep the weights where held-out frames say that they are the best so far."""
        module = cast('StageTraining', pl_module)
        metrics = trainer.callback_metrics
        loss = float(np.mean(module.epoch_losses)) if module.epoch_losses else float('nan')
        validation = float(metrics['val_loss'])
        self.losses.append((max(loss, LEAST_LOSS), max(validation, LEAST_LOSS)))
        better = validation < self.best
        if better:
            self.best = validation
            self.trust = module.measured_trust()
            self.weights = {
                name: value.detach().cpu().clone()
                for name, value in module.network.state_dict().items()
            }
        per_epoch = module.config.steps_per_epoch
        step = (trainer.current_epoch + 1) * per_epoch
        self._tell(step, per_epoch * module.config.epochs, self.losses[-1][0], self.losses[-1][1])
        if better:
            self.on_better(self)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to know."""
        return {
            'weights': self.weights,
            'trust': self.trust.factor.tolist(),
            'best': self.best,
            'losses': self.losses,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where another training stopped."""
        self.weights = state_dict['weights']
        self.trust = Trust(np.asarray(state_dict['trust'], np.float32))
        self.best = state_dict['best']
        self.losses = [(float(a), float(b)) for a, b in state_dict['losses']]

    def history(self) -> npt.NDArray[np.float64]:
        """Return the losses, float64 (epochs, 2)."""
        return np.asarray(self.losses, np.float64).reshape(-1, 2)

    def _tell(self, step: int, total: int, loss: float, validation: float | None) -> None:
        seconds = time.perf_counter() - self.began
        loss = max(loss, LEAST_LOSS)
        self.monitor.on_progress(Progress('train', step, total, loss, validation, seconds))


def run_training(
    module: StageTraining,
    execution: ExecutionConfig,
    device: torch.device,
    monitor: Monitor,
    folder: Path | None,
    *,
    resume: bool,
    on_better: Callable[[Keeper], None],
) -> Keeper:
    """Train until the epochs are done, nothing improves or the monitor asks for a stop.

    Args:
        module: what to train.
        execution: logger and determinism.
        device: where.
        monitor: hears of every step.
        folder: for logs and checkpoints; None keeps neither.
        resume: whether to go on from the folder's last checkpoint.
        on_better: hears of each epoch that was the best so far, after the monitor.

    Raises:
        Cancelled: stopped before there was anything to keep.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
    """
    keeper = Keeper(monitor, on_better)
    callbacks: list[Callback] = [
        keeper,
        EarlyStopping('val_loss', patience=module.config.patience, check_finite=False),
    ]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        callbacks.append(
            ModelCheckpoint(
                folder,
                filename=Path(CHECKPOINT_NAME).stem,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        )
    with quiet_lightning():
        trainer = lightning.Trainer(
            accelerator='gpu' if device.type == 'cuda' else device.type,
            devices=1,
            max_epochs=module.config.epochs,
            logger=_logger(execution, folder) or False,
            callbacks=callbacks,
            enable_checkpointing=folder is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(
                module,
                ckpt_path=_checkpoint(folder, module) if resume else None,
                weights_only=True,
            )
        except Cancelled:
            if keeper.weights is None:
                raise
    if keeper.weights is None:
        raise Cancelled('the training ended before its first epoch was done')
    return keeper


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice about trainers, loaders and loggers from the user."""
    names = ('lightning.pytorch', 'lightning.fabric', 'lightning.pytorch.utilities.rank_zero')
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module='lightning.*')
        warnings.filterwarnings('ignore', message='.*num_workers.*')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _logger(execution: ExecutionConfig, folder: Path | None) -> Logger | None:
    """Return the logger that a config asks for; none without a folder to log to."""
    if execution.logger == 'none' or folder is None:
        return None
    try:
        if execution.logger == 'tensorboard':
            return TensorBoardLogger(folder, name='logs')
        if execution.logger == 'mlflow':
            return MLFlowLogger('ptychopinn', tracking_uri=f'file:{folder.resolve() / "mlruns"}')
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f'the logger {execution.logger!r} cannot be imported ({error}); install it with: '
            "pip install 'ptychopinn-plugin[loggers]', or choose --logger csv"
        ) from error
    return CSVLogger(folder, name='logs')


def _checkpoint(folder: Path | None, module: StageTraining) -> Path:
    """Return the checkpoint to resume, after a look at whether it fits."""
    path = None if folder is None else folder / CHECKPOINT_NAME
    if path is None or not path.is_file():
        raise CheckpointError(
            f'there is no checkpoint {path} to resume; leave --resume away to start anew'
        )
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        shapes = {
            name.removeprefix('network.'): tuple(value.shape)
            for name, value in content['state_dict'].items()
        }
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise CheckpointError(
            f'{path} cannot be resumed ({type(error).__name__}: {error}); '
            'leave --resume away to start anew'
        ) from error
    needed = {name: tuple(value.shape) for name, value in module.network.state_dict().items()}
    if shapes != needed:
        raise CheckpointError(
            f'{path} holds a network of another shape; resume with the same --width, --levels '
            'and --blocks, or leave --resume away to start anew'
        )
    return path
