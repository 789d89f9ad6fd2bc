"""Training of the learned stage, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage, network_weights
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.history import Case, TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.unrolled.episode_datasets import (
    TrainingEpisodes,
    ValidationEpisodes,
)
from ptychopinn_plugin.networks.unrolled.episode_run import EpisodeRun
from ptychopinn_plugin.networks.unrolled.episodes import Episode, TrainingScan


class StageTraining(Training):
    """Teaches the network to move an object toward the photons that its solver did not see.

    Each application of the network is a step of its own: physics passes without gradients, the
    network's update, the Poisson deviance of the held-out photons.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        scans: Sequence[TrainingScan],
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
    ) -> None:
        super().__init__(execution, schedule, check)
        self.model_config = model
        self.config = training
        self.scans = scans
        self.network: StageNetwork = StageNetwork(model)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.validation_cases: list[Case] = []

    def train_dataloader(self) -> DataLoader[Episode]:
        """Return this epoch's episodes."""
        return self.loader(TrainingEpisodes(self.scans, self.config, self.current_epoch))

    def val_dataloader(self) -> DataLoader[Episode]:
        """Return the held-out episodes."""
        return self.loader(ValidationEpisodes(self.scans, self.config))

    def stage(self) -> LearnedStage:
        """Return the network as a stage, fully trusted."""
        return LearnedStage(TorchOps(self.device), self.network, DoseGate.open())

    def training_step(self, batch: Episode, batch_idx: int) -> torch.Tensor:
        """Run one episode, a step of the optimiser at each of its stages."""
        episode = self.current_epoch * self.config.steps_per_epoch + batch_idx
        rate = self.schedule.rate(episode)
        stage = self.stage()
        run = self._run(batch)
        losses: list[torch.Tensor] = []
        for passes, symmetry in zip(batch.passes, batch.symmetries, strict=True):
            with torch.no_grad():
                run.solve(passes)
                before = run.situation()
            changed = stage.updated(before, symmetry=symmetry)
            loss = (run.judge.deviance(changed) - run.floor) / before.excess
            last = batch_idx + 1 == self.config.steps_per_epoch
            self.descend(loss, rate, last=last and len(losses) + 1 == len(batch.passes))
            run.change(changed.detach())
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        self.epoch_losses.append(float(mean))
        self.log('train_loss', mean, on_step=False, on_epoch=True, batch_size=1)
        return mean

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.validation_cases = []

    def validation_step(self, batch: Episode) -> None:
        """Measure what updates of every factor leave, at each stage of a held-out episode."""
        stage = self.stage()
        run = self._run(batch)
        ratios = []
        for passes in batch.passes:
            run.solve(passes)
            ratios.append(run.ratios(lambda before, factor: stage.updated(before, factor=factor)))
        left = np.mean(ratios, axis=0)
        self.validation_cases.append((run.log10_dose(), [float(ratio) for ratio in left]))
        self.log('val_loss', float(left[-1]), on_epoch=True, batch_size=1)

    def close_epoch(self, record: TrainingHistory, epoch: int) -> None:
        """Tell the record of an epoch and of its held-out episodes."""
        record.epoch(
            epoch, self.epoch_losses, self.validation_cases, lambda: network_weights(self.network)
        )

    @torch.no_grad()
    def _run(self, episode: Episode) -> EpisodeRun:
        return EpisodeRun(TorchOps(self.device), episode, self.check)
