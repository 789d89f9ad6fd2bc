"""Training of the `cnn` architecture in TensorFlow: the compiled step and what surrounds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.cnn_tensors import Fields, fields_of, signature_of
from ptychopinn_plugin.backends.tensorflow.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.optimizer import apply_pending_gradients, build_optimizer
from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.losses import LossWeights, counts_loss, patches_loss
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics, Placement, predicted_counts
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.cnn.validation import EpochValidation, judgement_of, build_detector
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule


class PatchTraining:
    """Teaches the network to draw patches that predict the photons of their frames.

    Args:
        sets: what it learns from, and what judges it.
        model: the network's shape.
        training: losses and seed.
        execution: the optimiser.
        schedule: of the learning rate.
        device: TensorFlow's name of the device.
        check: raises to stop.
    """

    def __init__(
        self,
        sets: DatasetSplit,
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        device: str,
        check: Callable[[], None],
    ) -> None:
        probe = sets.scans[0].scan.probe
        size = probe.shape[-1]
        self.sets = sets
        self.schedule = schedule
        self.check = check
        self.weights = LossWeights.from_config(model, training, sets.photons)
        fresh = initial_weights(model, size, probe, training.seed)
        self.network = PatchNetwork(model, size, len(probe), fresh)
        self.optimizer = build_optimizer(
            execution, self.network.variables(), self.network.probe_variables()
        )
        self._ops = TensorFlowOps(device, fused=False)
        self._optics = Optics.from_config(self._ops, model, size)
        signature = signature_of(self._fields(sets.held_out()[0]))
        self._step = tf.function(self._one_step, (signature,), autograph=False)
        self._judge = tf.function(self.evaluated, (signature,), autograph=False)
        self._workers = execution.num_workers
        self._accumulated = execution.accum_steps
        count = tf.TensorSpec((), tf.int32)
        self._close = tf.function(self._closing_step, (count,), autograph=False)
        self._watchdog = build_detector(sets)

    def run_epoch(self, record: TrainingHistory, epoch: int) -> None:
        """Train on the batches of an epoch, then let the held-out ones judge it.

        Args:
            record: hears of every step and of the epoch.
            epoch: its number from 0.

        Raises:
            CollapseError: the network draws a flat object and will not recover.
        """
        losses = []
        batches = self.sets.epoch(epoch)
        for index, batch in enumerate(prefetch(batches, self._workers)):
            self.check()
            losses.append(self.train(batch, epoch * len(batches) + index))
            record.step(epoch, index, losses[-1])
        missing = -len(batches) % self._accumulated
        if missing:
            self._close(tf.constant(missing, tf.int32))
        judgement = self.judged()
        record.judged(epoch, losses, judgement.loss(), self.network.weights)
        self.schedule.end_epoch(record.losses[-1][1])
        self._watchdog.look(judgement.signs())

    def train(self, batch: GroupBatch, number: int) -> float:
        """Take one step of the optimiser; return the loss before it.

        Args:
            batch: what to learn from.
            number: of the step in the training, from 0.
        """
        self.optimizer.learning_rate.assign(self.schedule.rate(number))
        return float(self._step(self._fields(batch)))

    def judged(self) -> EpochValidation:
        """Return what the held-out batches say of the network."""
        judgement = judgement_of(self.sets)
        for batch in prefetch(self.sets.held_out(), self._workers):
            self.check()
            loss, patches, peaks, predicted = self._judge(self._fields(batch))
            judgement.add(
                batch,
                float(loss),
                patches.numpy(),
                peaks.numpy(),
                float(predicted) if self.weights.needs_counts else None,
            )
        return judgement

    def evaluated(self, fields: Fields) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return loss, patches, the peaks of the channels and the predicted counts of a batch.

        Args:
            fields: from `fields_of`.
        """
        ops, network = self._ops, self.network
        patches, peaks = network(fields['inputs'])
        dose = ops.sum(ops.abs2(fields['probe']), (0,))
        loss = patches_loss(ops, self.weights, patches, fields.get('truth'), dose)
        predicted = tf.constant(0.0)
        if self.weights.needs_counts:
            probe = network.probe(fields['probe'])
            expected = expected_of(ops, self._optics, network, patches, probe, fields)
            good = fields['good']
            loss += counts_loss(ops, self.weights, expected, fields['amplitudes'], good)
            predicted = ops.sum(expected * good)
        return loss, patches, peaks, predicted

    def traces(self) -> dict[str, int]:
        """Return how many times each compiled function was traced so far, by its name."""
        functions = {'step': self._step, 'judge': self._judge}
        return {name: one.experimental_get_tracing_count() for name, one in functions.items()}

    def _fields(self, batch: GroupBatch) -> Fields:
        return fields_of(batch, self.sets.scans[batch.scan].scan)

    def _one_step(self, fields: Fields) -> tf.Tensor:
        variables: list[Any] = self.network.variables()
        with tf.GradientTape() as tape:
            loss = self.evaluated(fields)[0]
        gradients = tape.gradient(
            loss,
            [variable.value for variable in variables],
            # A supervised training says nothing of the intensity.
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        self.optimizer.apply(gradients, variables)
        return loss

    def _closing_step(self, missing: tf.Tensor) -> None:
        apply_pending_gradients(self.optimizer, self.network.variables(), missing)


def expected_of(
    ops: TensorFlowOps,
    optics: Optics,
    network: PatchNetwork,
    patches: tf.Tensor,
    probe: tf.Tensor,
    fields: Fields,
) -> tf.Tensor:
    """Return the counts that patches predict, float32 (n, N, N), zero frequency at index 0."""
    placement = Placement(fields['shifts_px'], fields.get('corners'), fields.get('shares'))
    counts = predicted_counts(ops, optics, patches, probe, placement, fields['canvas_shape'])
    return network.intensity() * counts
