"""Training of the learned stage in TensorFlow: the compiled step and what surrounds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.optimizer import apply_pending_gradients, build_optimizer
from ptychopinn_plugin.backends.tensorflow.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.tensorflow.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.history import Case
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.unrolled.episode_run import EpisodeRun
from ptychopinn_plugin.networks.unrolled.episodes import Episode
from ptychopinn_plugin.networks.unrolled.held_out_frames import HeldOutBatch, held_out_deviance


@dataclass(frozen=True, eq=False)
class _Kit:
    """What is compiled for one frame size."""

    ops: TensorFlowOps
    step: Any


class StageTraining:
    """Teaches the network to move an object toward the photons that its solver did not see.

    Each application of the network is a step of its own: physics passes without gradients, the
    network's update, the Poisson deviance of the held-out photons.

    Args:
        model: the network's shape.
        training: the seed.
        schedule: of the learning rate.
        execution: the optimiser, and who draws episodes.
        device: TensorFlow's name of the device.
        check: raises to stop.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        schedule: LearningRateSchedule,
        execution: ExecutionConfig,
        device: str,
        check: Callable[[], None],
    ) -> None:
        self.config = training
        self.schedule = schedule
        self.check = check
        self.network = StageNetwork(model, training.seed)
        self.optimizer = build_optimizer(execution, self.network.variables())
        self.workers = execution.num_workers
        self._accumulated = execution.accum_steps
        self._gathered = 0
        count = tf.TensorSpec((), tf.int32)
        self._close = tf.function(self._closing_step, (count,), autograph=False)
        self._device = device
        self._stage = LearnedStage(TensorFlowOps(device, fused=False), self.network, DoseGate.open())
        self._kits: dict[int, _Kit] = {}

    def train(self, episode: Episode, number: int) -> float:
        """Run one episode, a step of the optimiser at each of its stages; return the mean loss.

        Args:
            episode: what to learn from.
            number: of the episode in the training, from 0.
        """
        self.optimizer.learning_rate.assign(self.schedule.rate(number))
        kit = self._kit(episode)
        run = EpisodeRun(kit.ops, episode, self.check)
        losses = []
        for passes, symmetry in zip(episode.passes, episode.symmetries, strict=True):
            run.solve(passes)
            before = run.situation()
            loss, changed = kit.step(
                (before.canvas_object, before.direction, before.dose),
                tf.constant(symmetry),
                run.judge.batches,
                run.judge.good,
                tf.constant(run.floor, tf.float32),
                tf.constant(before.excess, tf.float32),
            )
            run.change(changed)
            losses.append(float(loss))
        self._gathered += len(losses)
        return float(np.mean(losses))

    def close_epoch(self) -> None:
        """Follow the gradients that still wait for others."""
        missing = -self._gathered % self._accumulated
        self._gathered = 0
        if missing:
            self._close(tf.constant(missing, tf.int32))

    def validate(self, episode: Episode) -> Case:
        """Measure what updates of every factor leave, at each stage of a held-out episode."""
        run = EpisodeRun(self._kit(episode).ops, episode, self.check)
        ratios = []
        for passes in episode.passes:
            run.solve(passes)
            ratios.append(
                run.ratios(lambda before, factor: self._stage.updated(before, factor=factor))
            )
        return run.log10_dose(), [float(ratio) for ratio in np.mean(ratios, axis=0)]

    def traces(self) -> dict[str, int]:
        """Return how many times each compiled function was traced so far, by its name."""
        found = Counter({'network': self._stage.traces()})
        for kit in self._kits.values():
            found.update(kit.ops.traces())
            found['step'] += kit.step.experimental_get_tracing_count()
        return dict(found)

    def _closing_step(self, missing: tf.Tensor) -> None:
        apply_pending_gradients(self.optimizer, self.network.variables(), missing)

    def _kit(self, episode: Episode) -> _Kit:
        """Return what is compiled for an episode's frame size."""
        size = episode.crop.frame_size
        if size not in self._kits:
            ops = TensorFlowOps(self._device, fused=False)
            # Crops differ in shape; one graph serves them all.
            step = tf.function(self._step_of(ops), autograph=False, reduce_retracing=True)
            self._kits[size] = _Kit(ops, step)
        return self._kits[size]

    def _step_of(self, ops: TensorFlowOps) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """Return one step of the optimiser as a function to compile."""

        def step(
            found: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
            symmetry: tf.Tensor,
            batches: tuple[HeldOutBatch, ...],
            good: tf.Tensor | None,
            floor: tf.Tensor,
            excess: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor]:
            variables: list[Any] = self.network.variables()
            with tf.GradientTape() as tape:
                changed = self._stage.changed(*found, tf.constant(1.0), symmetry)
                loss = (held_out_deviance(ops, changed, batches, good) - floor) / excess
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            self.optimizer.apply(gradients, variables)
            return loss, changed

        return step
