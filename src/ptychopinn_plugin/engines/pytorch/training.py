"""Training of the learned stage, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.engines.episode_run import EpisodeRun
from ptychopinn_plugin.engines.episode_sets import TrainingEpisodes, ValidationEpisodes
from ptychopinn_plugin.engines.episodes import Episode, TrainingScan
from ptychopinn_plugin.engines.pytorch.network import StageNetwork
from ptychopinn_plugin.engines.pytorch.ops import TorchOps
from ptychopinn_plugin.engines.pytorch.stage import LearnedStage
from ptychopinn_plugin.engines.record import Case
from ptychopinn_plugin.engines.schedule import WEIGHT_DECAY, Schedule
from ptychopinn_plugin.engines.trust import Trust


class StageTraining(lightning.LightningModule):
    """Teaches the network to move an object toward the photons that its solver did not see.

    Each application of the network is a step of its own: physics passes without gradients, the
    network's update, the Poisson deviance of the held-out photons.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        scans: Sequence[TrainingScan],
        schedule: Schedule,
        gradient_clip: float,
        check: Callable[[], None],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model_config = model
        self.config = training
        self.scans = scans
        self.schedule = schedule
        self.gradient_clip = gradient_clip
        self.check = check
        self.network = StageNetwork(model)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.epoch_losses: list[float] = []
        self.validation_cases: list[Case] = []

    def train_dataloader(self) -> DataLoader[Episode]:
        """Return this epoch's episodes."""
        episodes = TrainingEpisodes(self.scans, self.config, self.current_epoch)
        return DataLoader(cast('Dataset[Episode]', episodes), batch_size=None)

    def val_dataloader(self) -> DataLoader[Episode]:
        """Return the held-out episodes."""
        episodes = ValidationEpisodes(self.scans, self.config)
        return DataLoader(cast('Dataset[Episode]', episodes), batch_size=None)

    def transfer_batch_to_device(
        self, batch: Episode, device: torch.device, dataloader_idx: int
    ) -> Episode:
        """Leave an episode in NumPy; its parts visit the device as they are needed."""
        del device, dataloader_idx
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the schedule sets its learning rate."""
        return torch.optim.AdamW(
            self.network.parameters(), lr=self.schedule.peak, weight_decay=WEIGHT_DECAY
        )

    def stage(self) -> LearnedStage:
        """Return the network as a stage, fully trusted."""
        return LearnedStage(TorchOps(self.device), self.network, Trust.full())

    def training_step(self, batch: Episode, batch_idx: int) -> torch.Tensor:
        """Run one episode, a step of the optimiser at each of its stages."""
        optimizer = cast('torch.optim.Optimizer', self.optimizers())
        episode = self.current_epoch * self.config.steps_per_epoch + batch_idx
        for group in optimizer.param_groups:
            group['lr'] = self.schedule.rate(episode)
        stage = self.stage()
        run = self._run(batch)
        losses = []
        for passes, symmetry in zip(batch.passes, batch.symmetries, strict=True):
            with torch.no_grad():
                run.solve(passes)
                before = run.situation()
            changed = stage.updated(before, symmetry=symmetry)
            loss = (run.judge.deviance(changed) - run.floor) / before.excess
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, self.gradient_clip, 'norm')
            optimizer.step()
            run.change(changed.detach())
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        self.epoch_losses.append(float(mean))
        self.log('train_loss', mean, on_step=False, on_epoch=True, batch_size=1)
        return mean

    def on_train_epoch_start(self) -> None:
        """Forget the last epoch's losses."""
        self.epoch_losses = []

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

    @torch.no_grad()
    def _run(self, episode: Episode) -> EpisodeRun:
        return EpisodeRun(TorchOps(self.device), episode, self.check)
