"""Losses of the published network on counts and patches, written once over `Ops`."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.physics.noise_models import COUNT_FLOOR, poisson_deviance
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.regularizers import smooth_modulus, total_variation


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out.

    Attributes:
        poisson: of the Poisson deviance a photon, `nll_weight` with `nphotons` in it.
        amplitude: of the mean absolute error of amplitudes, `mae_weight`.
        variation: of the patches' total variation, `realspace_weight`.
        ground_truth: of the mean absolute error of patches, `realspace_mae_weight`.
        reconstruction: of the mean squared error of patches against those of a reconstruction.
    """

    poisson: float
    amplitude: float
    variation: float
    ground_truth: float
    reconstruction: float = 0.0

    @classmethod
    def from_config(
        cls, model: ModelConfig, training: TrainingConfig, photons: float
    ) -> LossWeights:
        """Return the weights of a config.

        `nphotons` above the measured photons increases the weight of the Poisson loss: the
        deviance is proportional to the counts, and its divisor stays that of the measurement.

        Args:
            model: a supervised model has the ground truth as its only loss.
            training: the weights.
            photons: a frame, of the data.

        Raises:
            ConfigError: all weights that tie the object to the data are 0, or it has two targets.
        """
        learns_reconstruction = training.training_target == 'reconstruction'
        if model.model_type == 'supervised':
            if learns_reconstruction:
                raise ConfigError(
                    [
                        'model_type = supervised learns known objects, and training_target = '
                        'reconstruction those that physics passes reconstruct; give one of them'
                    ]
                )
            return cls(0.0, 0.0, 0.0, training.realspace_mae_weight or 1.0)
        if learns_reconstruction:
            return cls(0.0, 0.0, training.realspace_weight, 0.0, 1.0)
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
                    'ties the object to the frames; give one of them a value, as nll_weight = 1'
                ]
            )
        return weights

    @property
    def needs_counts(self) -> bool:
        """Whether predicted counts are needed."""
        return self.poisson > 0 or self.amplitude > 0

    @property
    def needs_ground_truth(self) -> bool:
        """Whether patches of the true object are needed."""
        return self.ground_truth > 0

    @property
    def needs_reconstruction(self) -> bool:
        """Whether patches of a reconstruction are needed."""
        return self.reconstruction > 0


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
        difference = ops.sqrt(expected + COUNT_FLOOR) - amplitudes
        error = smooth_modulus(ops, difference * difference)
        error = ops.sum(error if good is None else error * good)
        loss = loss + weights.amplitude * error / (ops.sum(amplitudes) + COUNT_FLOOR)
    return loss


def patches_loss(
    ops: Ops, weights: LossWeights, patches: Array, ground_truth: Array | None, dose: Array
) -> Array:
    """Return the loss of the patches themselves, a scalar.

    Args:
        ops: the framework.
        weights: of the losses.
        patches: complex64 (n, N, N), from the network.
        ground_truth: complex64 (n, N, N), of the true object or of a reconstruction, or None.
        dose: float32 (N, N), |probe|^2 in any unit, the weight of each pixel's error.
    """
    loss = 0.0
    if weights.variation:
        loss = loss + weights.variation * total_variation(ops, patches)
    if weights.ground_truth and ground_truth is not None:
        error = smooth_modulus(ops, ops.abs2(patches - ground_truth))
        loss = loss + weights.ground_truth * ops.mean(error * dose) / ops.mean(dose)
    if weights.reconstruction and ground_truth is not None:
        error = ops.abs2(_with_fitted_phases(ops, patches, ground_truth, dose) - ground_truth)
        loss = loss + weights.reconstruction * ops.mean(error * dose) / ops.mean(dose)
    return loss


def _with_fitted_phases(ops: Ops, patches: Array, target: Array, dose: Array) -> Array:
    """Return patches times the constant phases that fit them to the target best, (n, N, N).

    A frame does not determine the phase of its patch as a whole.
    """
    products = ops.sum(ops.scale(ops.conj_product(patches, target), dose), (1, 2))
    # The floor keeps the gradient finite where nothing is alike.
    modulus = ops.sqrt(ops.abs2(products) + COUNT_FLOOR)
    return patches * ops.scale(products, 1 / modulus)[:, None, None]
