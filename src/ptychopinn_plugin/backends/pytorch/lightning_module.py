"""What every training in Lightning does alike: loaders, the optimiser and its steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, cast

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.cnn.architecture import INTENSITY, PROBE_IMAG, PROBE_REAL
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import WEIGHT_DECAY, LearningRateSchedule

TRAINED_PHYSICS = (INTENSITY, PROBE_REAL, PROBE_IMAG)


class Training(lightning.LightningModule):
    """A training whose learning rate follows the schedule of every backend.

    Attributes:
        network: is trained.
        schedule: of the learning rate.
        epoch_losses: of the steps of this epoch so far.
    """

    network: nn.Module

    def __init__(
        self, execution: ExecutionConfig, schedule: LearningRateSchedule, check: Callable[[], None]
    ) -> None:
        """Prepare a training.

        Args:
            execution: greatest gradient, accumulated steps, loader processes.
            schedule: of the learning rate.
            check: raises to stop.
        """
        super().__init__()
        self.automatic_optimization = False
        self.execution = execution
        self.schedule = schedule
        self.check = check
        self.epoch_losses: list[float] = []
        self._gathered = 0

    @abstractmethod
    def close_epoch(self, record: TrainingHistory, epoch: int) -> None:
        """Tell the record of an epoch once its validation is done."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the schedule sets its learning rate. What is no layer does not decay."""
        named = dict(self.network.named_parameters())
        layers = [value for name, value in named.items() if name not in TRAINED_PHYSICS]
        others = [value for name, value in named.items() if name in TRAINED_PHYSICS]
        groups: list[dict[str, Any]] = [{'params': layers}]
        if others:
            groups.append({'params': others, 'weight_decay': 0.0})
        return torch.optim.AdamW(groups, lr=self.schedule.peak, weight_decay=WEIGHT_DECAY)

    def transfer_batch_to_device(
        self,
        batch: Any,  # noqa: ANN401  (as Lightning declares it)
        device: torch.device,
        dataloader_idx: int,
    ) -> Any:  # noqa: ANN401
        """Leave a batch in NumPy; its parts visit the device as they are needed."""
        del device, dataloader_idx
        return batch

    def on_train_epoch_start(self) -> None:
        """Forget the last epoch's losses."""
        self.epoch_losses = []

    def loader(self, items: object) -> DataLoader[Any]:
        """Return what feeds the training: items come ready, one a step."""
        return DataLoader(
            cast('Dataset[Any]', items), batch_size=None, num_workers=self.execution.num_workers
        )

    def descend(self, loss: torch.Tensor, rate: float, *, last: bool) -> None:
        """Follow the gradient of a loss, together with those of `accum_steps` - 1 others.

        Args:
            loss: of one step.
            rate: the learning rate.
            last: whether no other loss of this epoch follows.
        """
        optimizer = cast('torch.optim.Optimizer', self.optimizers())
        self.manual_backward(loss / self.execution.accum_steps)
        self._gathered += 1
        if self._gathered < self.execution.accum_steps and not last:
            return
        self._gathered = 0
        for group in optimizer.param_groups:
            group['lr'] = rate
        self.clip_gradients(optimizer, self.execution.gradient_clip_val, 'norm')
        optimizer.step()
        optimizer.zero_grad()
