"""What a group's patches are judged by, written once over `Ops`."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.physics.noise_models import COUNT_FLOOR, poisson_deviance
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.regularizers import smooth_modulus, total_variation


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts.

    Attributes:
        poisson: of the Poisson deviance a photon, `nll_weight` with `nphotons` in it.
        amplitude: of the mean absolute error of amplitudes, `mae_weight`.
        variation: of the patches' total variation, `realspace_weight`.
        truth: of the mean absolute error against known patches, `realspace_mae_weight`.
    """

    poisson: float
    amplitude: float
    variation: float
    truth: float

    @classmethod
    def of(cls, model: ModelConfig, training: TrainingConfig, photons: float) -> LossWeights:
        """Return what the configs ask for.

        A training with more photons than were measured weighs the Poisson loss more: both its
        counts are multiplied, the photons that it is divided by are not.

        Args:
            model: says whether known objects alone are learned from.
            training: the weights.
            photons: a frame, of the data.

        Raises:
            ConfigError: nothing is weighed.
        """
        if model.model_type == 'supervised':
            return cls(0.0, 0.0, 0.0, training.realspace_mae_weight or 1.0)
        factor = training.nphotons / photons if training.nphotons else 1.0
        weights = cls(
            training.nll_weight * factor,
            training.mae_weight,
            training.realspace_weight,
            training.realspace_mae_weight,
        )
        if not (weights.needs_counts or weights.needs_ground_truth):
            raise ConfigError(
                [
                    'nll_weight, mae_weight and realspace_mae_weight are all 0, so that nothing '
                    'ties the object to the frames; give one of them a value, as nll_weight 1'
                ]
            )
        return weights

    @property
    def needs_counts(self) -> bool:
        """Whether predicted counts are needed at all."""
        return self.poisson > 0 or self.amplitude > 0

    @property
    def needs_ground_truth(self) -> bool:
        """Whether patches of a known object are needed."""
        return self.truth > 0


def counts_loss(
    ops: Ops, weights: LossWeights, expected: Array, amplitudes: Array, good: Array | None
) -> Array:
    """Return the loss of predicted counts, a scalar; the same at any dose.

    Args:
        ops: the framework.
        weights: of the losses.
        expected: float32 (n, N, N), predicted counts.
        amplitudes: float32 (n, N, N), sqrt(counts), 0 at bad pixels.
        good: float32 (N, N), 1 where a detector pixel counts, or None where all do.
    """
    counts = amplitudes * amplitudes
    loss = 0.0
    if weights.poisson:
        deviance = poisson_deviance(ops, expected, counts, good)
        loss = loss + weights.poisson * deviance / (ops.sum(counts) + COUNT_FLOOR)
    if weights.amplitude:
        apart = ops.sqrt(expected + COUNT_FLOOR) - amplitudes
        error = smooth_modulus(ops, apart * apart)
        error = ops.sum(error if good is None else error * good)
        loss = loss + weights.amplitude * error / (ops.sum(amplitudes) + COUNT_FLOOR)
    return loss


def patches_loss(
    ops: Ops, weights: LossWeights, patches: Array, truth: Array | None, dose: Array
) -> Array:
    """Return the loss of the patches themselves, a scalar.

    Args:
        ops: the framework.
        weights: of the losses.
        patches: complex64 (n, N, N), as the network drew them.
        truth: complex64 (n, N, N), of the known object, or None.
        dose: float32 (N, N), |probe|^2 in any unit, the weight of each pixel of the truth.
    """
    loss = 0.0
    if weights.variation:
        loss = loss + weights.variation * total_variation(ops, patches)
    if weights.truth and truth is not None:
        error = smooth_modulus(ops, ops.abs2(patches - truth))
        loss = loss + weights.truth * ops.mean(error * dose) / ops.mean(dose)
    return loss
