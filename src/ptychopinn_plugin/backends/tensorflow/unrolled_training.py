"""Training of the learned stage in TensorFlow: the compiled step and the epoch around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
from ptychopinn_plugin.networks.unrolled.held_out_frames import HeldOutBatch, held_out_deviance
from ptychopinn_plugin.networks.unrolled.validation import ValidationCase, summarize_cases


@dataclass(frozen=True, eq=False)
class _CompiledStep:
    """Functions compiled for one frame size."""

    ops: TensorFlowOps
    step: Any


class StageTraining:
    """Trains the network to reduce the deviance of an object from held-out photons.

    Each application of the network is a step of the optimiser: physics passes without gradients,
    the network's update, the Poisson deviance of the held-out photons.

    Args:
        scans: the scans with their references.
        model: the architecture.
        training: episodes and seed.
        execution: the optimiser, and the threads that compute episodes.
        schedule: of the learning rate; a step of it is an episode.
        check: raises Cancelled to stop.
        device: TensorFlow's name of the device.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
        device: str,
    ) -> None:
        self.scans = scans
        self.config = training
        self.schedule = schedule
        self.check = check
        self.network = StageNetwork(model, training.seed)
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
        losses = []
        episodes = TrainingEpisodes(self.scans, self.config, epoch)
        for index, episode in enumerate(prefetch(episodes, self._workers)):
            losses.append(self.train(episode, epoch * self.config.steps_per_epoch + index))
            history.add_step(epoch, index, losses[-1])
        self._end_steps()
        held_out = prefetch(ValidationEpisodes(self.scans, self.config), self._workers)
        loss, gate = summarize_cases([self.validate(episode) for episode in held_out])
        history.add_epoch(epoch, losses, loss, lambda: join_gate(self.network.weights(), gate))

    def train(self, episode: Episode, number: int) -> float:
        """Run one episode, a step of the optimiser at each application; return the mean loss.

        Args:
            episode: the frames, used and held out.
            number: of the episode in the training, from 0.
        """
        self.optimizer.learning_rate.assign(self.schedule.rate(number))
        compiled = self._compile_for(episode)
        run = EpisodeRun(compiled.ops, episode, self.check)
        losses = []
        for passes, symmetry in zip(episode.passes, episode.symmetries, strict=True):
            run.run_passes(passes)
            before = run.stage_input()
            loss = compiled.step(
                (before.canvas_object, before.direction, before.dose),
                tf.constant(symmetry),
                run.held_out.batches,
                run.held_out.good,
                tf.constant(run.reference_deviance, tf.float32),
                tf.constant(before.excess, tf.float32),
            )
            losses.append(float(loss))
        self._pending += len(losses)
        return float(np.mean(losses))

    def validate(self, episode: Episode) -> ValidationCase:
        """Measure updates with every factor, at each stage of a validation episode."""
        run = EpisodeRun(self._compile_for(episode).ops, episode, self.check)
        ratios = []
        for passes in episode.passes:
            run.run_passes(passes)
            ratios.append(
                run.deviance_ratios(
                    lambda before, factor: self._stage.update_object(before, factor=factor)
                )
            )
        mean = [float(ratio) for ratio in np.mean(ratios, axis=0)]
        return ValidationCase(run.log10_dose(), mean)

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

    def _compile_for(self, episode: Episode) -> _CompiledStep:
        """Return the functions compiled for an episode's frame size."""
        size = episode.crop.frame_size
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
