"""Detection of collapsed trainings: flat patches, dead channels, counts off by factors.

A network on patches can end in a state without useful gradients: all patches equal, whatever the
frame. Its loss looks like that of slow progress, so other indicators are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import CollapseError, DivergenceError

# Patches that explain the frames spread at least as far as the frames (see `frame_spread`); at a
# tenth of that they explain a hundredth of what differs between the frames.
FLAT_SHARE = 0.1
# A network has learnt to distinguish frames once its patches spread half as far as the frames; a
# random one reaches a quarter.
LEARNT_SHARE = 0.5
# With a smaller spread of the frames, that of the patches is no indicator.
LEAST_FRAME_SPREAD = 0.01
# Observed: 68 to 97 % dead channels in collapsed trainings, less than half in others.
DEAD_SHARE = 0.6
# The probe is scaled to the photons of the data, so counts start near 1; 4 is an object amplitude
# of 2, or of 1/2, everywhere.
COUNTS_FACTOR = 4.0
# An indicator may be bad for an epoch, as after a step that was too long.
PATIENCE_EPOCHS = 3
# The mean object explains most of a frame and is learnt first; what differs between frames shows
# within a few hundred steps.
INITIAL_STEPS = 500
# Patches that are equal to float32 precision do not depend on the input, and have no gradient that
# would change it; those of a random network differ by some percent.
EQUAL = 1e-5
# Greatest variance of the square root of a photon count, met at about 1.3 expected photons.
NOISE_VARIANCE = 0.42

_SMALLER_STEPS = 'take a tenth of the learning rate, such as learning_rate = 0.0001'
_FLAT_ADVICE = (
    f'{_SMALLER_STEPS}; take mae_weight = 1 beside the Poisson loss, or in place of it with '
    'nll_weight = 0; begin with a known probe; see with "ptychopinn check" whether the positions '
    'have to be flipped or transposed'
)
_DEAD_ADVICE = (
    f'{_SMALLER_STEPS}; keep gradient_clip_val = 1; choose amp_activation = sigmoid or '
    'softplus, not relu'
)
_COUNTS_ADVICE = (
    'take intensity_scale_trainable = true; check that probe and frames are in the same photons '
    f'(ptychopinn inspect); choose amp_activation = softplus; {_SMALLER_STEPS}'
)


@dataclass(frozen=True)
class CollapseIndicators:
    """Indicators of a collapse, from a few validation groups after an epoch.

    Attributes:
        spread: of the predicted patches, see `patch_spread`.
        dead: share of the ReLU channels, of all layers together, that are zero at every pixel of
            every group, 0 to 1.
        counts_ratio: predicted over measured counts, summed over the groups; None where counts
            are not predicted, as in supervised training.
    """

    spread: float
    dead: float
    counts_ratio: float | None = None


class CollapseDetector:
    """Checks the indicators of each epoch and stops a training that has collapsed.

    A bad indicator counts after three epochs in a row. A network that has not yet learnt to
    distinguish frames may be nearly flat for its first 500 steps.

    Args:
        frame_spread: of the measured frames of the same groups, see `frame_spread`.
        steps_per_epoch: of the optimiser.
    """

    def __init__(self, frame_spread: float, steps_per_epoch: int) -> None:
        self._learnt_spread = LEARNT_SHARE * frame_spread
        self._flat = FLAT_SHARE * frame_spread if frame_spread >= LEAST_FRAME_SPREAD else 0.0
        self._frame_spread = frame_spread
        self._initial_epochs = math.ceil(INITIAL_STEPS / max(1, steps_per_epoch))
        self._epochs = 0
        self._has_learnt = False
        self._bad_epochs: dict[str, int] = {}

    def check(self, indicators: CollapseIndicators) -> None:
        """Check the indicators of one more epoch.

        Raises:
            CollapseError: with what was found and what to do.
            DivergenceError: the network gives values that are not finite.
        """
        self._epochs += 1
        values = (indicators.spread, indicators.dead, indicators.counts_ratio or 0.0)
        if not all(math.isfinite(value) for value in values):
            raise DivergenceError(
                f'the training was stopped after epoch {self._epochs}: the network gives values '
                f'that are not finite. Try this: {_SMALLER_STEPS}; keep gradient_clip_val = 1'
            )
        self._has_learnt = self._has_learnt or indicators.spread >= self._learnt_spread
        found = dict(self._find_faults(indicators))
        self._bad_epochs = {advice: self._bad_epochs.get(advice, 0) + 1 for advice in found}
        lasting = [
            advice for advice, epochs in self._bad_epochs.items() if epochs >= PATIENCE_EPOCHS
        ]
        if lasting:
            raise CollapseError(
                f'the training has collapsed and was stopped after epoch {self._epochs}: '
                + '; '.join(found[advice] for advice in lasting)
                + f', for {PATIENCE_EPOCHS} epochs or more. Try this: '
                + '; '.join(lasting)
            )

    def _find_faults(self, indicators: CollapseIndicators) -> Iterator[tuple[str, str]]:
        """Yield (advice, finding) for each bad indicator."""
        settled = (
            self._has_learnt or self._epochs > self._initial_epochs or indicators.spread < EQUAL
        )
        if indicators.spread < self._flat and settled:
            yield (
                _FLAT_ADVICE,
                f'the object is flat (its patches differ by {indicators.spread:.2%}, the frames by '
                f'{self._frame_spread:.2%})',
            )
        if indicators.dead > DEAD_SHARE:
            yield (
                _DEAD_ADVICE,
                f'{indicators.dead:.0%} of the ReLU channels are dead (zero throughout)',
            )
        ratio = indicators.counts_ratio
        if ratio is not None and not 1 / COUNTS_FACTOR <= ratio <= COUNTS_FACTOR:
            yield (
                _COUNTS_ADVICE,
                f'{ratio:.3g} times the measured counts are predicted (1 is right)',
            )


def frame_spread(counts: npt.NDArray[np.float32]) -> float:
    """Return the deviation of frame amplitudes from their mean, relative to their norm.

    The greatest contribution of photon noise is subtracted. Patches O_j that explain the frames
    have a `patch_spread` at least as large: the transform keeps norms, and
    ||a| - |b|| <= |a - b|.

    Args:
        counts: float32 (frames, N, N), photons, bad pixels 0.
    """
    counts = counts.astype(np.float64)
    deviation = (np.sqrt(counts) - np.sqrt(counts).mean(axis=0)) ** 2
    noise = np.minimum(counts.mean(axis=0), NOISE_VARIANCE).sum() * (len(counts) - 1)
    squared = max(0.0, float(deviation.sum() - noise))
    return math.sqrt(squared / max(float(counts.sum()), 1e-30))


def patch_spread(
    patches: npt.NDArray[np.complex64],
    illumination: npt.NDArray[np.floating],
    group_patches: int = 1,
) -> float:
    """Return the deviation of illuminated patches from their mean, relative to their norm.

    0 where all groups have equal patches; a constant phase of a patch, which no frame determines,
    is removed. Each place in a group has its own mean: a collapsed network gives different
    constants for them.

    Args:
        patches: complex64 (patches, N, N), those of a group next to each other.
        illumination: (N, N), sum over modes of |probe|^2.
        group_patches: patches a group; of a single group, the patches are compared.
    """
    weight = np.asarray(illumination, np.float64)
    mean = np.sum(weight * patches, axis=(1, 2), keepdims=True)
    aligned = patches * np.exp(-1j * np.angle(mean))
    if len(aligned) > group_patches:
        aligned = aligned.reshape(-1, group_patches, *weight.shape)
    deviation = np.sum(weight * np.abs(aligned - aligned.mean(axis=0)) ** 2)
    norm = max(float(np.sum(weight * np.abs(aligned) ** 2)), 1e-30)
    return math.sqrt(float(deviation) / norm)
