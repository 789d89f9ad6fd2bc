"""Training of the `cnn` architecture in TensorFlow: the compiled step and the epoch around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.cnn_correction import build_network
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.optimizer import (
    apply_pending_gradients,
    build_optimizer,
)
from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch
from ptychopinn_plugin.backends.tensorflow.signatures import Arrays, batch_arrays, batch_signature
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.batch_loss import BatchLoss, BatchTensors, batch_loss
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.losses import LossWeights
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.cnn.validation import EpochValidation, build_detector
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.weight_arrays import Weights


class PatchTraining:
    """Trains the network to predict the counts of frames from patches of the object.

    Args:
        split: training and validation groups.
        model: the architecture.
        training: losses and seed.
        execution: the optimiser, and the precision of the convolutions.
        schedule: of the learning rate.
        check: raises Cancelled to stop.
        device: TensorFlow's name of the device.
        weights: of a network that is trained further; None for fresh ones.
    """

    def __init__(
        self,
        split: DatasetSplit,
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        schedule: LearningRateSchedule,
        check: Callable[[], None],
        device: str,
        weights: Weights | None = None,
    ) -> None:
        probe = split.scans[0].scan.probe
        size = probe.shape[-1]
        self.split = split
        self.schedule = schedule
        self.check = check
        self.loss_weights = LossWeights.from_config(model, training, split.photons)
        self.pretrained = weights is not None
        initial = weights or initial_weights(model, size, probe, training.seed)
        self.network = build_network(model, size, len(probe), initial)
        self.network.set_precision(execution.training_precision)
        self.optimizer = build_optimizer(
            execution, self.network.variables(), self.network.probe_variables()
        )
        # Batches differ in size: compiled with XLA, each size would compile anew.
        self._ops = TensorFlowOps(device, fused=False)
        self._optics = Optics.from_config(self._ops, model, size)
        self._compile(batch_signature(batch_arrays(split.validation_batches()[0])))
        self._workers = execution.num_workers
        self._accumulated = execution.accum_steps
        self._detector = build_detector(split)

    def begin(self, history: TrainingHistory) -> None:
        """Validate the network that is trained further."""
        if self.pretrained:
            history.begin(self.validate().loss(), self.network.weights(), None)

    def run_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Train and validate one epoch, and add it to the history.

        Args:
            history: receives every step and the epoch.
            epoch: its number from 0.

        Raises:
            CollapseError: the network has collapsed to a state without useful gradients.
        """
        losses = []
        batches = self.split.training_batches(epoch)
        for index, batch in enumerate(prefetch(batches, self._workers)):
            self.check()
            losses.append(self.train(batch, epoch * len(batches) + index))
            history.add_step(epoch, index, losses[-1])
        missing = -len(batches) % self._accumulated
        if missing:
            self._apply_pending(tf.constant(missing, tf.int32))
        validation = self.validate()
        history.add_epoch(epoch, losses, validation.loss(), self.network.weights)
        # After the epoch was added: the monitor gets it also where the training is stopped here.
        self._detector.check(validation.indicators())

    def train(self, batch: GroupBatch, number: int) -> float:
        """Take one step of the optimiser; return the loss before it.

        Args:
            batch: the frames.
            number: of the step in the training, from 0.
        """
        self.optimizer.learning_rate.assign(self.schedule.rate(number))
        return float(self._step(batch_arrays(batch)))

    def validate(self) -> EpochValidation:
        """Return the validation of the network as it is."""
        validation = EpochValidation.for_split(self.split)
        for batch in prefetch(self.split.validation_batches(), self._workers):
            self.check()
            (loss, predicted), patches, peaks = self._evaluate(batch_arrays(batch))
            validation.add(
                batch,
                float(loss),
                patches.numpy(),
                peaks.numpy(),
                None if predicted is None else float(predicted),
            )
        return validation

    def evaluate(self, arrays: Arrays) -> tuple[BatchLoss, tf.Tensor, tf.Tensor]:
        """Return the loss, the patches and the peaks of the channels of a batch.

        Args:
            arrays: from `batch_arrays`.
        """
        peaks: list[tf.Tensor] = []
        tensors = BatchTensors(**arrays)
        patches = self.network(tensors.inputs, peaks)
        loss = batch_loss(
            self._ops, self._optics, self.loss_weights, self.network, patches, tensors
        )
        return loss, patches, tf.concat(peaks, 0)

    def traces(self) -> dict[str, int]:
        """Return how many times each compiled function was traced so far, by its name."""
        functions = {'step': self._step, 'evaluate': self._evaluate}
        return {name: one.experimental_get_tracing_count() for name, one in functions.items()}

    def _compile(self, signature: dict[str, tf.TensorSpec]) -> None:
        """Compile the functions of a training for batches of any size."""
        self._step = tf.function(self._take_step, (signature,), autograph=False)
        self._evaluate = tf.function(self.evaluate, (signature,), autograph=False)
        count = tf.TensorSpec((), tf.int32)
        self._apply_pending = tf.function(
            lambda missing: apply_pending_gradients(
                self.optimizer, self.network.variables(), missing
            ),
            (count,),
            autograph=False,
        )

    def _take_step(self, arrays: Arrays) -> tf.Tensor:
        variables: list[Any] = self.network.variables()
        with tf.GradientTape() as tape:
            loss = self.evaluate(arrays)[0].loss
        gradients = tape.gradient(
            loss,
            [variable.value for variable in variables],
            # A supervised loss does not depend on the intensity.
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        self.optimizer.apply(gradients, variables)
        return loss
