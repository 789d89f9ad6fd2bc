"""Training of the `cnn` architecture, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader

from ptychopinn_plugin.backends.pytorch.cnn_correction import build_network
from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.batch_loss import BatchLoss, BatchTensors, batch_loss
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.losses import LossWeights
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.cnn.validation import EpochValidation, build_detector
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.weight_arrays import Weights


class PatchTraining(Training):
    """Trains the network to predict the counts of frames from patches of the object."""

    def __init__(
        self,
        split: DatasetSplit,
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
        weights: Weights | None = None,
    ) -> None:
        """Prepare a training.

        Args:
            split: training and validation groups.
            model: the architecture.
            training: losses and seed.
            execution: the optimiser, and the precision of the convolutions.
            schedule: of the learning rate.
            check: raises Cancelled to stop.
            weights: of a network that is trained further; None for fresh ones.
        """
        super().__init__(execution, schedule, check)
        probe = split.scans[0].scan.probe
        size = probe.shape[-1]
        self.split = split
        self.loss_weights = LossWeights.from_config(model, training, split.photons)
        self.pretrained = weights is not None
        initial = weights or initial_weights(model, size, probe, training.seed)
        self.network: PatchNetwork = build_network(model, size, len(probe), initial)
        self.network.precision = execution.training_precision
        self.validation = EpochValidation.for_split(split)
        self._detector = build_detector(split)

    def begin(self, history: TrainingHistory) -> None:
        """Validate the network that is trained further."""
        if not self.pretrained:
            return
        validation = EpochValidation.for_split(self.split)
        with torch.no_grad():
            for batch in self.split.validation_batches():
                self._validate(batch, validation)
        history.begin(validation.loss(), self.network.weights(), None)

    def train_dataloader(self) -> DataLoader[GroupBatch]:
        """Return this epoch's batches."""
        return self.build_loader(self.split.training_batches(self.current_epoch), divided=True)

    def val_dataloader(self) -> DataLoader[GroupBatch]:
        """Return the validation batches."""
        return self.build_loader(self.split.validation_batches())

    def training_step(self, batch: GroupBatch, batch_idx: int) -> torch.Tensor:
        """Take one step of the optimiser."""
        self.check()
        steps = self.split.steps_per_epoch
        loss: torch.Tensor = self.evaluate(batch)[0].loss
        rate = self.rate_of(steps, batch_idx)
        self.apply_gradient(loss, rate, last=batch_idx + 1 == self.steps_of_epoch(steps))
        self.epoch_losses.append(float(loss.detach()))
        self.log('train_loss', loss.detach(), on_step=False, on_epoch=True, batch_size=1)
        return loss.detach()

    def on_validation_epoch_start(self) -> None:
        """Clear the last validation."""
        self.validation = EpochValidation.for_split(self.split)

    def validation_step(self, batch: GroupBatch) -> None:
        """Add a batch to the validation."""
        loss = self._validate(batch, self.validation)
        self.log('val_loss', loss, on_epoch=True, batch_size=1)

    def end_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Add the epoch to the history; stop a training that has collapsed.

        Raises:
            CollapseError: the network has collapsed to a state without useful gradients.
        """
        history.add_epoch(epoch, self.epoch_losses, self.validation.loss(), self.network.weights)
        # After the epoch was added: the monitor gets it also where the training is stopped here.
        self._detector.check(self.validation.indicators())

    def _validate(self, batch: GroupBatch, validation: EpochValidation) -> float:
        """Add a batch to a validation; return its loss."""
        self.check()
        peaks: list[torch.Tensor] = []
        (loss, predicted), patches = self.evaluate(batch, peaks)
        validation.add(
            batch,
            float(loss),
            patches.cpu().numpy(),
            torch.cat(peaks).cpu().numpy(),
            None if predicted is None else float(predicted),
        )
        return float(loss)

    def evaluate(
        self, batch: GroupBatch, peaks: list[torch.Tensor] | None = None
    ) -> tuple[BatchLoss, torch.Tensor]:
        """Return the loss and the patches of a batch.

        Args:
            batch: the frames.
            peaks: receives the greatest value of each channel, see `PatchNetwork.forward`.
        """
        ops = TorchOps(self.device)
        tensors = BatchTensors.from_batch(ops, batch)
        patches: torch.Tensor = self.network(tensors.inputs, peaks)
        optics = Optics.from_config(ops, self.network.model, patches.shape[-1])
        return batch_loss(ops, optics, self.loss_weights, self.network, patches, tensors), patches
