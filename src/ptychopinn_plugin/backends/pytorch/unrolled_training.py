"""Training of the learned stage, as a Lightning module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader

from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, join_gate
from ptychopinn_plugin.networks.unrolled.episode_datasets import Visit
from ptychopinn_plugin.networks.unrolled.episode_pool import EpisodePool
from ptychopinn_plugin.networks.unrolled.validation import (
    ValidationCase,
    summarize_cases,
    validate_episode,
)
from ptychopinn_plugin.networks.weight_arrays import Weights


class StageTraining(Training):
    """Trains the network to reduce the deviance of an object from held-out photons.

    Each application of the network to an object is a step of the optimiser: the network's update,
    the Poisson deviance of the held-out photons. The objects are those of physics alone, which the
    pool of episodes keeps.
    """

    def __init__(
        self,
        episodes: EpisodePool,
        model: ModelConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
        weights: Weights | None,
    ) -> None:
        """Prepare a training.

        Args:
            episodes: of the scans.
            model: the architecture.
            execution: the optimiser.
            schedule: of the learning rate; a step of it is an episode.
            check: raises Cancelled to stop.
            weights: of the network at the start; None for random ones.
        """
        super().__init__(execution, schedule, check)
        self.episodes = episodes
        self.pretrained = weights is not None
        self.network: StageNetwork = StageNetwork(model)
        if weights is not None:
            self.network.set_weights(weights)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.validation_cases: list[ValidationCase] = []

    def train_dataloader(self) -> DataLoader[Visit]:
        """Return this epoch's episodes."""
        return self.build_loader(self.episodes.training(self.current_epoch), divided=True)

    def val_dataloader(self) -> DataLoader[Visit]:
        """Return the validation episodes."""
        return self.build_loader(self.episodes.validation())

    def build_stage(self) -> LearnedStage:
        """Return the network as a stage with an open gate."""
        return LearnedStage(TorchOps(self.device), self.network, DoseGate.open())

    def begin(self, history: TrainingHistory) -> None:
        """Validate the network that is trained further."""
        if not self.pretrained:
            return
        with torch.no_grad():
            cases = [self.validated(visit) for visit in self.episodes.validation()]
        found = summarize_cases(cases)
        weights = join_gate(self.network.weights(), found.gate)
        history.begin(found.loss, weights, found.example)

    def training_step(self, batch: Visit, batch_idx: int) -> torch.Tensor:
        """Use one episode, a step of the optimiser at each application of the network."""
        steps = self.episodes.config.steps_per_epoch
        rate, own = self.rate_of(steps, batch_idx), self.steps_of_epoch(steps)
        ops, stage = TorchOps(self.device), self.build_stage()
        with torch.no_grad():
            episode = self.episodes.trained(ops, batch)
            held_out = episode.held_out(ops)
        losses: list[torch.Tensor] = []
        for before, symmetry in zip(episode.states, batch.symmetries, strict=True):
            updated = stage.update_object(before, symmetry=symmetry)
            loss = (held_out.deviance(updated) - episode.reference_deviance) / before.excess
            last = batch_idx + 1 == own and len(losses) + 1 == len(episode.states)
            self.apply_gradient(loss, rate, last=last)
            losses.append(loss.detach())
        mean = torch.stack(losses).mean()
        self.epoch_losses.append(float(mean))
        self.log('train_loss', mean, on_step=False, on_epoch=True, batch_size=1)
        return mean

    def on_validation_epoch_start(self) -> None:
        """Clear the last validation."""
        self.validation_cases = []

    def validation_step(self, batch: Visit) -> None:
        """Measure updates with every factor, at each stage of a validation episode."""
        case = self.validated(batch)
        self.validation_cases.append(case)
        self.log('val_loss', case.ratios[-1], on_epoch=True, batch_size=1)

    def validated(self, visit: Visit) -> ValidationCase:
        """Measure updates with every factor, without gradients."""
        ops, stage = TorchOps(self.device), self.build_stage()
        self.check()
        return validate_episode(ops, self.episodes.validated(ops, visit), stage.update_object)

    def end_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Add the epoch to the history, with the gate that its validation measured."""
        found = summarize_cases(self.validation_cases)
        history.add_epoch(
            epoch,
            self.epoch_losses,
            found.loss,
            lambda: join_gate(self.network.weights(), found.gate),
            example=found.example,
            preparation=self.episodes.once_seconds,
        )
