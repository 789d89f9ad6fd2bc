"""Training of the learned stage, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, join_gate
from ptychopinn_plugin.networks.unrolled.episode_datasets import (
    TrainingEpisodes,
    ValidationEpisodes,
)
from ptychopinn_plugin.networks.unrolled.episode_run import EpisodeRun
from ptychopinn_plugin.networks.unrolled.episodes import Episode, TrainingScan
from ptychopinn_plugin.networks.unrolled.validation import ValidationCase, summarize_cases


class StageTraining(Training):
    """Trains the network to reduce the deviance of an object from held-out photons.

    Each application of the network is a step of the optimiser: physics passes without gradients,
    the network's update, the Poisson deviance of the held-out photons.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
    ) -> None:
        """Prepare a training.

        Args:
            scans: the scans with their references.
            model: the architecture.
            training: episodes and seed.
            execution: the optimiser.
            schedule: of the learning rate; a step of it is an episode.
            check: raises Cancelled to stop.
        """
        super().__init__(execution, schedule, check)
        self.config = training
        self.scans = scans
        self.network: StageNetwork = StageNetwork(model)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.validation_cases: list[ValidationCase] = []

    def train_dataloader(self) -> DataLoader[Episode]:
        """Return this epoch's episodes."""
        return self.build_loader(TrainingEpisodes(self.scans, self.config, self.current_epoch))

    def val_dataloader(self) -> DataLoader[Episode]:
        """Return the validation episodes."""
        return self.build_loader(ValidationEpisodes(self.scans, self.config))

    def build_stage(self) -> LearnedStage:
        """Return the network as a stage with an open gate."""
        return LearnedStage(TorchOps(self.device), self.network, DoseGate.open())

    def training_step(self, batch: Episode, batch_idx: int) -> torch.Tensor:
        """Run one episode, a step of the optimiser at each application of the network."""
        episode = self.current_epoch * self.config.steps_per_epoch + batch_idx
        rate = self.schedule.rate(episode)
        stage = self.build_stage()
        run = self._start(batch)
        losses: list[torch.Tensor] = []
        for passes, symmetry in zip(batch.passes, batch.symmetries, strict=True):
            with torch.no_grad():
                run.run_passes(passes)
                before = run.stage_input()
            updated = stage.update_object(before, symmetry=symmetry)
            loss = (run.held_out.deviance(updated) - run.reference_deviance) / before.excess
            last = batch_idx + 1 == self.config.steps_per_epoch
            self.apply_gradient(loss, rate, last=last and len(losses) + 1 == len(batch.passes))
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        self.epoch_losses.append(float(mean))
        self.log('train_loss', mean, on_step=False, on_epoch=True, batch_size=1)
        return mean

    def on_validation_epoch_start(self) -> None:
        """Clear the last validation."""
        self.validation_cases = []

    def validation_step(self, batch: Episode) -> None:
        """Measure updates with every factor, at each stage of a validation episode."""
        stage = self.build_stage()
        run = self._start(batch)
        ratios = []
        for passes in batch.passes:
            run.run_passes(passes)
            ratios.append(
                run.deviance_ratios(
                    lambda before, factor: stage.update_object(before, factor=factor)
                )
            )
        mean = [float(ratio) for ratio in np.mean(ratios, axis=0)]
        self.validation_cases.append(ValidationCase(run.log10_dose(), mean))
        self.log('val_loss', mean[-1], on_epoch=True, batch_size=1)

    def end_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Add the epoch to the history, with the gate that its validation measured."""
        loss, gate = summarize_cases(self.validation_cases)
        history.add_epoch(
            epoch, self.epoch_losses, loss, lambda: join_gate(self.network.weights(), gate)
        )

    @torch.no_grad()
    def _start(self, episode: Episode) -> EpisodeRun:
        return EpisodeRun(TorchOps(self.device), episode, self.check)
