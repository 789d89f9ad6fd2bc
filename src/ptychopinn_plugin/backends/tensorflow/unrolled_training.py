"""Training of the learned stage in TensorFlow: the compiled step and the epoch around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.optimizer import (
    apply_pending_gradients,
    build_optimizer,
)
from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch
from ptychopinn_plugin.backends.tensorflow.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.tensorflow.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, join_gate
from ptychopinn_plugin.networks.unrolled.episode_datasets import Visit
from ptychopinn_plugin.networks.unrolled.episode_pool import EpisodePool
from ptychopinn_plugin.networks.unrolled.held_out_frames import HeldOutBatch, held_out_deviance
from ptychopinn_plugin.networks.unrolled.validation import (
    ValidationCase,
    ValidationSummary,
    summarize_cases,
    validate_episode,
)
from ptychopinn_plugin.networks.weight_arrays import Weights


@dataclass(frozen=True, eq=False)
class _CompiledStep:
    """Functions compiled for one frame size."""

    ops: TensorFlowOps
    step: Any


class StageTraining:
    """Trains the network to reduce the deviance of an object from held-out photons.

    Each application of the network to an object is a step of the optimiser: the network's update,
    the Poisson deviance of the held-out photons. The objects are those of physics alone, which the
    pool of episodes keeps.

    Args:
        episodes: of the scans.
        model: the architecture.
        execution: the optimiser, and the threads that compute episodes.
        schedule: of the learning rate; a step of it is an episode.
        check: raises Cancelled to stop.
        device: TensorFlow's name of the device.
        weights: of the network at the start; None for random ones.
    """

    def __init__(
        self,
        episodes: EpisodePool,
        model: ModelConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
        device: str,
        weights: Weights | None,
    ) -> None:
        self.episodes = episodes
        self.schedule = schedule
        self.check = check
        self.pretrained = weights is not None
        self.network = StageNetwork(model, episodes.config.seed)
        if weights is not None:
            self.network.set_weights(weights)
        self.optimizer = build_optimizer(execution, self.network.variables())
        self._workers = execution.num_workers
        self._accumulated = execution.accum_steps
        self._pending = 0
        count = tf.TensorSpec((), tf.int32)
        self._apply_pending = tf.function(
            lambda missing: apply_pending_gradients(
                self.optimizer, self.network.variables(), missing
            ),
            (count,),
            autograph=False,
        )
        self._device = device
        # Crops differ in shape: compiled with XLA, each shape would compile anew.
        ops = TensorFlowOps(device, fused=False)
        self._stage = LearnedStage(ops, self.network, DoseGate.open())
        self._compiled: dict[int, _CompiledStep] = {}

    def run_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Train and validate one epoch, and add it to the history.

        Args:
            history: receives every episode and the epoch.
            epoch: its number from 0.
        """
        losses: list[float] = []
        for visit in prefetch(self.episodes.training(epoch), self._workers):
            number = epoch * self.episodes.config.steps_per_epoch + len(losses)
            losses.append(self.train(visit, number))
            history.add_step(epoch, len(losses) - 1, losses[-1])
        self._end_steps()
        found = self._validate()
        history.add_epoch(
            epoch,
            losses,
            found.loss,
            lambda: join_gate(self.network.weights(), found.gate),
            example=found.example,
            preparation=self.episodes.once_seconds,
        )

    def begin(self, history: TrainingHistory) -> None:
        """Validate the network that is trained further."""
        if self.pretrained:
            found = self._validate()
            weights = join_gate(self.network.weights(), found.gate)
            history.begin(found.loss, weights, found.example)

    def train(self, visit: Visit, number: int) -> float:
        """Use one episode, a step of the optimiser at each application; return the mean loss.

        Args:
            visit: of the episode.
            number: of the visit in the training, from 0.
        """
        self.optimizer.learning_rate.assign(self.schedule.rate(number))
        compiled = self._compile_for(self.episodes.frame_size(visit))
        episode = self.episodes.trained(compiled.ops, visit)
        held_out = episode.held_out(compiled.ops)
        losses = []
        for before, symmetry in zip(episode.states, visit.symmetries, strict=True):
            loss = compiled.step(
                (before.canvas_object, before.direction, before.dose),
                tf.constant(symmetry),
                held_out.batches,
                held_out.good,
                tf.constant(episode.reference_deviance, tf.float32),
                tf.constant(before.excess, tf.float32),
            )
            losses.append(float(loss))
        self._pending += len(losses)
        return float(np.mean(losses))

    def validate(self, visit: Visit) -> ValidationCase:
        """Measure updates with every factor, at each stage of a validation episode."""
        self.check()
        ops = self._compile_for(self.episodes.frame_size(visit)).ops
        return validate_episode(ops, self.episodes.validated(ops, visit), self._stage.update_object)

    def _validate(self) -> ValidationSummary:
        """Validate the present network."""
        visits = prefetch(self.episodes.validation(), self._workers)
        return summarize_cases([self.validate(visit) for visit in visits])

    def traces(self) -> dict[str, int]:
        """Return how many times each compiled function was traced so far, by its name."""
        found = Counter({'network': self._stage.traces()})
        for compiled in self._compiled.values():
            found.update(compiled.ops.traces())
            found['step'] += compiled.step.experimental_get_tracing_count()
        return dict(found)

    def _end_steps(self) -> None:
        """Take a step with the gradients that an epoch leaves accumulated."""
        missing = -self._pending % self._accumulated
        self._pending = 0
        if missing:
            self._apply_pending(tf.constant(missing, tf.int32))

    def _compile_for(self, size: int) -> _CompiledStep:
        """Return the functions compiled for a frame size."""
        if size not in self._compiled:
            ops = TensorFlowOps(self._device, fused=False)
            # Crops differ in shape; one graph serves them all.
            step = tf.function(self._build_step(ops), autograph=False, reduce_retracing=True)
            self._compiled[size] = _CompiledStep(ops, step)
        return self._compiled[size]

    def _build_step(self, ops: TensorFlowOps) -> Callable[..., tf.Tensor]:
        """Return one step of the optimiser as a function to compile."""

        def step(
            canvas: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
            symmetry: tf.Tensor,
            batches: tuple[HeldOutBatch, ...],
            good: tf.Tensor | None,
            reference_deviance: tf.Tensor,
            excess: tf.Tensor,
        ) -> tf.Tensor:
            variables: list[Any] = self.network.variables()
            with tf.GradientTape() as tape:
                updated = self._stage.compute_update(*canvas, tf.constant(1.0), symmetry)
                deviance = held_out_deviance(ops, updated, batches, good)
                loss = (deviance - reference_deviance) / excess
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            self.optimizer.apply(gradients, variables)
            return loss

        return step
