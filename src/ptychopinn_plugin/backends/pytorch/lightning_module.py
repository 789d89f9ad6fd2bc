"""Base class of all trainings in Lightning: data loaders, the optimiser and its steps."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import lightning
import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from ptychopinn_plugin.backends.pytorch.optimizer import build_optimizer
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.parent_process import end_with_parent


def _end_with_parent(parent: int, _worker: int) -> None:
    """End a process of a loader with its parent."""
    end_with_parent(parent)


class Training(lightning.LightningModule):
    """A training with the learning rates of the schedule that all backends share.

    Attributes:
        network: is trained.
        schedule: of the learning rate.
        epoch_losses: of the steps of this epoch so far.
    """

    network: nn.Module

    def __init__(
        self,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
    ) -> None:
        """Prepare a training.

        Args:
            execution: greatest gradient, accumulated steps, loader processes.
            schedule: of the learning rate.
            check: raises Cancelled to stop.
        """
        super().__init__()
        # The learning rate is set before every step, and an `unrolled` batch makes several steps.
        self.automatic_optimization = False
        self.execution = execution
        self.schedule = schedule
        self.check = check
        self.epoch_losses: list[float] = []
        self._accumulated = 0

    def begin(self, history: TrainingHistory) -> None:
        """Measure the network before the first epoch, where it has been trained before."""

    @abstractmethod
    def end_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Add an epoch and its validation to the history."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser; the schedule sets its learning rate."""
        return build_optimizer(self.network, self.schedule.peak)

    def transfer_batch_to_device(
        self, batch: object, device: torch.device, dataloader_idx: int
    ) -> object:
        """Leave a batch in NumPy; its arrays are copied to the device as they are needed."""
        del device, dataloader_idx
        return batch

    def on_train_epoch_start(self) -> None:
        """Clear the last epoch's losses."""
        self.epoch_losses = []

    @property
    def devices(self) -> int:
        """Devices that train together."""
        return distributed.get_world_size() if distributed.is_initialized() else 1

    def steps_of_epoch(self, batches: int) -> int:
        """Return how many batches of an epoch each device gets."""
        return math.ceil(batches / self.devices)

    def rate_of(self, batches: int, batch_idx: int) -> float:
        """Return the learning rate of a step, in which each device uses a batch of its own.

        Args:
            batches: of an epoch, of all devices.
            batch_idx: number of the batch on this device.
        """
        used = (batch_idx + 1) * self.devices
        return self.schedule.rate(self.current_epoch * batches + used - 1)

    def build_loader(self, items: object, *, divided: bool = False) -> DataLoader[Any]:
        """Return a loader of items that are batches already; its processes end with this one.

        Args:
            items: the batches.
            divided: whether each device gets other ones, in turns; in a validation each gets all,
                so that all devices decide alike.
        """
        dataset = cast('Dataset[Any]', items)
        several = divided and self.devices > 1
        return DataLoader(
            dataset,
            sampler=DistributedSampler(dataset, shuffle=False) if several else None,
            batch_size=None,
            num_workers=self.execution.num_workers,
            # A process of a loader may otherwise stay for minutes after this one was killed.
            worker_init_fn=partial(_end_with_parent, os.getpid()),
        )

    def apply_gradient(self, loss: torch.Tensor, rate: float, *, last: bool) -> None:
        """Accumulate the gradient of a loss; take a step after `accum_steps` of them.

        Args:
            loss: of one batch.
            rate: the learning rate.
            last: whether it is the last loss of this epoch: then a step is taken in any case.
        """
        optimizer = cast('torch.optim.Optimizer', self.optimizers())
        # The mean of the accumulated batches: a step does not grow with their number.
        self.manual_backward(loss / self.execution.accum_steps)
        self._accumulated += 1
        if self._accumulated < self.execution.accum_steps and not last:
            return
        self._accumulated = 0
        for group in optimizer.param_groups:
            group['lr'] = rate
        # Clipped once, after all gradients of the step were summed.
        self.clip_gradients(optimizer, self.execution.gradient_clip_val, 'norm')
        optimizer.step()
        optimizer.zero_grad()
