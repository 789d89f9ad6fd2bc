"""Loss and predicted counts of a batch on the device, written once over `Ops`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.losses import LossWeights, counts_loss, patches_loss
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics, Placement, predicted_counts
from ptychopinn_plugin.physics.ops import Array, Ops


class BatchTensors(NamedTuple):
    """The arrays of a `GroupBatch` on the device; `good` is None where all pixels are."""

    inputs: Array
    amplitudes: Array
    shifts_px: Array
    probe: Array
    canvas_shape: Array
    good: Array | None = None
    corners: Array | None = None
    shares: Array | None = None
    ground_truth: Array | None = None

    @classmethod
    def from_batch(cls, ops: Ops, batch: GroupBatch) -> BatchTensors:
        """Bring a batch to the device; its canvas shape stays a pair of numbers."""
        optional = {
            name: None if value is None else ops.array(value)
            for name, value in (
                ('good', None if batch.good.all() else batch.good),
                ('corners', batch.corners),
                ('shares', batch.shares),
                ('ground_truth', batch.ground_truth),
            )
        }
        return cls(
            ops.array(batch.inputs),
            ops.array(batch.amplitudes),
            ops.array(batch.shifts_px),
            ops.array(batch.probe),
            batch.canvas_shape,
            **optional,
        )


class TrainedPhysics(Protocol):
    """Probe and photon scale of a network, where they are trained."""

    def current_probe(self, given: Array) -> Array:
        """Return the trained probe, or the given one, complex64 (modes, N, N)."""
        ...

    def count_factor(self) -> Array:
        """Return the trained factor of the predicted counts, a scalar, or 1."""
        ...


class BatchLoss(NamedTuple):
    """Loss of a batch, a scalar, and its predicted counts at good pixels; None if not needed."""

    loss: Array
    predicted_counts: Array | None


def expected_batch_counts(
    ops: Ops, optics: Optics, patches: Array, probe: Array, factor: Array, batch: BatchTensors
) -> Array:
    """Return the counts predicted from patches, float32 (n, N, N), zero frequency at index 0.

    Args:
        ops: the framework.
        optics: of the model.
        patches: complex64 (n, N, N).
        probe: complex64 (modes, N, N).
        factor: of the counts, a scalar.
        batch: the places of the patches.
    """
    placement = Placement(batch.shifts_px, batch.corners, batch.shares)
    counts = predicted_counts(ops, optics, patches, probe, placement, batch.canvas_shape)
    return counts * factor


def batch_loss(
    ops: Ops,
    optics: Optics,
    weights: LossWeights,
    physics: TrainedPhysics,
    patches: Array,
    batch: BatchTensors,
) -> BatchLoss:
    """Return the loss of the patches of a batch.

    Args:
        ops: the framework.
        optics: of the model.
        weights: of the losses.
        physics: the network's probe and photon scale.
        patches: complex64 (n, N, N), from the network.
        batch: the frames.
    """
    dose = ops.sum(ops.abs2(batch.probe), (0,))
    loss = patches_loss(ops, weights, patches, batch.ground_truth, dose)
    if not weights.needs_counts:
        return BatchLoss(loss, None)
    probe, factor = physics.current_probe(batch.probe), physics.count_factor()
    expected = expected_batch_counts(ops, optics, patches, probe, factor, batch)
    loss = loss + counts_loss(ops, weights, expected, batch.amplitudes, batch.good)
    good_counts = expected if batch.good is None else expected * batch.good
    return BatchLoss(loss, ops.sum(good_counts))
