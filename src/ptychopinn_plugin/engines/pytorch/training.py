"""Training of the learned stage, as a Lightning module."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.utils.data import DataLoader, Dataset

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.engines.episodes import (
    Episode,
    TrainingScan,
    training_episode,
    validation_episode,
)
from ptychopinn_plugin.engines.held_out import HeldOut
from ptychopinn_plugin.engines.planes import canvas_planes
from ptychopinn_plugin.engines.pytorch.network import StageNetwork
from ptychopinn_plugin.engines.pytorch.ops import TorchOps
from ptychopinn_plugin.engines.pytorch.stage import LearnedStage, mean_log10_dose
from ptychopinn_plugin.engines.trust import FACTORS, Trust
from ptychopinn_plugin.solver import AcceleratedSolver, Problem

WEIGHT_DECAY = 1e-4
WARM_UP_STEPS = 60
GRADIENT_CLIP = 1.0
# Excess deviance, relative to the photons, below which an object is as good as its reference.
LEAST_EXCESS = 1e-5
# A random stream of its own for validation, the same in every epoch.
VALIDATION_STREAM = 1


class TrainingEpisodes(Dataset[Episode]):
    """The episodes of one epoch, each from a random stream of its own."""

    def __init__(self, scans: Sequence[TrainingScan], config: TrainingConfig, epoch: int) -> None:
        self.scans = scans
        self.config = config
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the episodes of an epoch."""
        return self.config.steps_per_epoch

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode; the scans take turns."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self.epoch * len(self) + index
        rng = np.random.default_rng([self.config.seed, 0, number])
        return training_episode(self.scans[number % len(self.scans)], self.config, rng)


class ValidationEpisodes(Dataset[Episode]):
    """Fixed episodes from held-out strips, from the lowest to the highest dose.

    Every other one is sparse.
    """

    def __init__(self, scans: Sequence[TrainingScan], config: TrainingConfig) -> None:
        self.scans = scans
        self.config = config

    def __len__(self) -> int:
        """Return the number of episodes."""
        return self.config.validation_episodes

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode; the scans take turns."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.config.seed, VALIDATION_STREAM, index])
        return validation_episode(
            self.scans[index % len(self.scans)],
            self.config,
            index // 2 / max((len(self) - 1) // 2, 1),
            sparse=index % 2 == 1,
            rng=rng,
        )


class StageTraining(lightning.LightningModule):
    """Teaches the network to move an object toward the photons that its solver did not see.

    Each application of the network is a step of its own: physics passes without gradients, the
    network's update, the Poisson deviance of the held-out photons. The loss is the share of the
    excess deviance, over that of the reference made from all photons, that the update leaves: 1
    for a network that changes nothing, at any dose.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        scans: Sequence[TrainingScan],
        check: Callable[[], None],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model_config = model
        self.config = training
        self.scans = scans
        self.check = check
        self.network = StageNetwork(model)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.epoch_losses: list[float] = []
        self.validation_cases: list[tuple[float, list[float]]] = []

    def train_dataloader(self) -> DataLoader[Episode]:
        """Return this epoch's episodes."""
        return DataLoader(
            TrainingEpisodes(self.scans, self.config, self.current_epoch), batch_size=None
        )

    def val_dataloader(self) -> DataLoader[Episode]:
        """Return the held-out episodes."""
        return DataLoader(ValidationEpisodes(self.scans, self.config), batch_size=None)

    def transfer_batch_to_device(
        self, batch: Episode, device: torch.device, dataloader_idx: int
    ) -> Episode:
        """Leave an episode in NumPy; its parts visit the device as they are needed."""
        del device, dataloader_idx
        return batch

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a warm-up and a cosine to a hundredth of the learning rate."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=WEIGHT_DECAY
        )
        episodes = self.config.epochs * self.config.steps_per_epoch

        def factor(episode: int) -> float:
            cosine = 0.5 * (1 + math.cos(math.pi * min(episode / episodes, 1)))
            return min(1.0, (episode + 1) / min(WARM_UP_STEPS, episodes)) * (0.99 * cosine + 0.01)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': scheduler}}

    def stage(self) -> LearnedStage:
        """Return the network as a stage, fully trusted."""
        return LearnedStage(TorchOps(self.device), self.network, Trust.full())

    def training_step(self, batch: Episode) -> torch.Tensor:
        """Run one episode, a step of the optimiser at each of its stages."""
        optimizer = cast('torch.optim.Optimizer', self.optimizers())
        run = EpisodeRun(self.stage(), batch, self.check)
        losses = []
        for passes, symmetry in zip(batch.passes, batch.symmetries, strict=True):
            run.solve(passes)
            loss = run.apply(symmetry)
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, GRADIENT_CLIP, 'norm')
            optimizer.step()
            losses.append(loss.detach())
        cast('torch.optim.lr_scheduler.LambdaLR', self.lr_schedulers()).step()
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
        run = EpisodeRun(self.stage(), batch, self.check)
        ratios = []
        for passes in batch.passes:
            run.solve(passes)
            ratios.append(run.ratios())
        left = np.mean(ratios, axis=0)
        self.validation_cases.append((run.log10_dose(), [float(ratio) for ratio in left]))
        self.log('val_loss', float(left[-1]), on_epoch=True, batch_size=1)

    def measured_trust(self) -> Trust:
        """Return the trust that the last validation allows."""
        doses, ratios = zip(*self.validation_cases, strict=True)
        return Trust.measured(np.asarray(doses), np.asarray(ratios))


class EpisodeRun:
    """One episode under way."""

    def __init__(self, stage: LearnedStage, episode: Episode, check: Callable[[], None]) -> None:
        self.stage = stage
        ops = stage.ops
        with torch.no_grad():
            problem = Problem.of(ops, episode.crop, 4, fixed_probe=True, check=check)
            self.solver = AcceleratedSolver(problem, InferenceConfig())
            self.judge = HeldOut.of(ops, episode.judge)
            self.floor = self.judge.deviance(ops.array(episode.reference))
            self.least = LEAST_EXCESS * self.judge.problem.total_counts

    def solve(self, passes: int) -> None:
        """Do physics passes."""
        with torch.no_grad():
            for _ in range(passes):
                self.solver.one_pass()

    def apply(self, symmetry: int) -> torch.Tensor:
        """Let the network change the object; return the loss, with gradients to the network."""
        with torch.no_grad():
            excess = self._excess(self.solver.canvas_object)
            direction, dose = self.solver.direction()
            planes = canvas_planes(self.stage.ops, self.solver.canvas_object, direction, dose)
        changed = self.stage.updated(planes, self.solver.canvas_object, symmetry=symmetry)
        loss = (self.judge.deviance(changed) - self.floor) / excess
        self.solver.change_object(lambda _: changed.detach())
        return cast('torch.Tensor', loss)

    def ratios(self) -> list[float]:
        """Return what the update times each of FACTORS leaves; the last one is applied."""
        with torch.no_grad():
            canvas_object = self.solver.canvas_object
            excess = self._excess(canvas_object)
            direction, dose = self.solver.direction()
            planes = canvas_planes(self.stage.ops, canvas_object, direction, dose)
            changed = [
                self.stage.updated(planes, canvas_object, factor=factor) for factor in FACTORS
            ]
            self.solver.change_object(lambda _: changed[-1])
            left = [(self.judge.deviance(each) - self.floor) / excess for each in changed]
            return [float(ratio) for ratio in left]

    def log10_dose(self) -> float:
        """Return log10 of the crop's mean dose, photons an object pixel."""
        direction, dose = self.solver.direction()
        planes = canvas_planes(self.stage.ops, self.solver.canvas_object, direction, dose)
        return mean_log10_dose(planes, dose)

    def _excess(self, canvas_object: torch.Tensor) -> torch.Tensor:
        """Return the deviance above the reference's, held off zero."""
        excess: torch.Tensor = self.judge.deviance(canvas_object) - self.floor
        return excess.clamp(min=self.least)
