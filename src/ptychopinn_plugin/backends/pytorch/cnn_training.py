"""Training of the `cnn` architecture, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader

from ptychopinn_plugin.backends.pytorch.cnn_tensors import expected_of, good_pixels
from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_stage import network_weights
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.losses import LossWeights, counts_loss, patches_loss
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.cnn.validation import judgement_of, build_detector
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule


class PatchTraining(Training):
    """Teaches the network to draw patches that predict the photons of their frames."""

    def __init__(
        self,
        sets: DatasetSplit,
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
    ) -> None:
        """Prepare a training.

        Args:
            sets: what it learns from, and what judges it.
            model: the network's shape.
            training: losses and seed.
            execution: the optimiser.
            schedule: of the learning rate.
            check: raises to stop.
        """
        super().__init__(execution, schedule, check)
        probe = sets.scans[0].scan.probe
        size = probe.shape[-1]
        self.sets = sets
        self.config = training
        self.weights = LossWeights.from_config(model, training, sets.photons)
        self.network: PatchNetwork = PatchNetwork(model, size, len(probe))
        self.network.take(initial_weights(model, size, probe, training.seed))
        self.judgement = judgement_of(sets)
        self._watchdog = build_detector(sets)

    def train_dataloader(self) -> DataLoader[GroupBatch]:
        """Return this epoch's batches."""
        return self.loader(self.sets.epoch(self.current_epoch))

    def val_dataloader(self) -> DataLoader[GroupBatch]:
        """Return the held-out batches."""
        return self.loader(self.sets.held_out())

    def training_step(self, batch: GroupBatch, batch_idx: int) -> torch.Tensor:
        """Take one step of the optimiser."""
        self.check()
        steps = self.sets.steps_per_epoch
        loss = self.judged(batch)[0]
        rate = self.schedule.rate(self.current_epoch * steps + batch_idx)
        self.descend(loss, rate, last=batch_idx + 1 == steps)
        self.epoch_losses.append(float(loss.detach()))
        self.log('train_loss', loss.detach(), on_step=False, on_epoch=True, batch_size=1)
        return loss.detach()

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.judgement = judgement_of(self.sets)

    def validation_step(self, batch: GroupBatch) -> None:
        """Let a held-out batch judge the network."""
        self.check()
        peaks: list[torch.Tensor] = []
        loss, patches, predicted = self.judged(batch, peaks)
        self.judgement.add(
            batch,
            float(loss),
            patches.cpu().numpy(),
            torch.cat(peaks).cpu().numpy(),
            None if predicted is None else float(predicted),
        )
        self.log('val_loss', float(loss), on_epoch=True, batch_size=1)

    def close_epoch(self, record: TrainingHistory, epoch: int) -> None:
        """Tell the record of the epoch; stop a training that has collapsed.

        Raises:
            CollapseError: the network draws a flat object and will not recover.
        """
        record.judged(
            epoch,
            self.epoch_losses,
            self.judgement.loss(),
            lambda: network_weights(self.network),
        )
        self._watchdog.look(self.judgement.signs())

    def judged(
        self, batch: GroupBatch, peaks: list[torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return loss, patches and predicted counts of a batch; takes the peaks of channels."""
        ops = TorchOps(self.device)
        given = self.sets.scans[batch.scan].scan
        given_probe = ops.array(given.probe)
        patches = self.network(ops.array(batch.inputs), peaks)
        loss = torch.as_tensor(0.0, device=self.device)
        if self.weights.variation or self.weights.truth:
            truth = None if batch.truth is None else ops.array(batch.truth)
            dose = ops.sum(ops.abs2(given_probe), (0,))
            loss = loss + patches_loss(ops, self.weights, patches, truth, dose)
        if not self.weights.needs_counts:
            return loss, patches, None
        probe = self.network.current_probe(given_probe)
        expected = expected_of(ops, self.network, patches, batch, probe)
        good = good_pixels(ops, given.mask)
        loss = loss + counts_loss(ops, self.weights, expected, ops.array(batch.amplitudes), good)
        return loss, patches, (expected if good is None else expected * good).sum()
