"""Is a training collapsing? Flat patches, dead channels, counts that are off by factors.

A network on patches can end in a state that no gradient leads out of: every patch alike, whatever
the frame. Its loss looks like that of slow progress, so signs other than the loss are watched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import CollapseError

# Patches that explain the frames spread at least as far as the frames (see `frame_spread`); at a
# tenth of that they explain a hundredth of what differs between the frames.
FLAT_SHARE = 0.1
# Half-way there a network has learnt to tell frames apart; a fresh one reaches a quarter by chance.
ALIVE_SHARE = 0.5
# Frames that differ by less than this tell nothing of the patches.
LEAST_FRAME_SPREAD = 0.01
# Collapsed trainings have been seen with 68 to 97 % dead channels, sound ones with less than half.
DEAD_SHARE = 0.6
# The probe is scaled to the photons of the data, so counts start near 1; 4 is an object amplitude
# of 2, or of 1/2, everywhere.
COUNTS_FACTOR = 4.0
# A sign may come and go, as after a step too long.
PATIENCE_EPOCHS = 3
# The mean object explains most of a frame and is learnt first; what differs between frames shows
# within a few hundred steps.
FRESH_STEPS = 500
# Patches as alike as float32 can say come from no input at all, and no gradient will bring it back;
# those of a fresh network differ by some percent.
ALIKE = 1e-5
# Greatest variance of the square root of a photon count, met at about 1.3 expected photons.
NOISE_VARIANCE = 0.42

_SMALLER_STEPS = 'lower learning_rate (a tenth of it)'
_FLAT_ADVICE = (
    f'{_SMALLER_STEPS}; give mae_weight a value, as 1, beside or in place of nll_weight; begin '
    'with a known probe; see with "ptychopinn check" whether the positions have to be flipped or '
    'transposed'
)
_DEAD_ADVICE = (
    f'{_SMALLER_STEPS}; keep gradient_clip_val at 1; choose amp_activation sigmoid or softplus, '
    'not relu'
)
_COUNTS_ADVICE = (
    'let intensity_scale_trainable be true; check that probe and frames are in the same photons '
    f'(ptychopinn inspect); choose amp_activation softplus; {_SMALLER_STEPS}'
)


@dataclass(frozen=True)
class CollapseIndicators:
    """What an epoch shows on a few validation groups.

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
    """Looks at the signs of each epoch and stops a training that has collapsed.

    A sign counts once it has stayed for three epochs in a row. A network that has not yet been
    seen to tell frames apart may be nearly flat for its first 500 steps.

    Args:
        frame_spread: of the measured frames of the same groups, see `frame_spread`.
        steps_per_epoch: of the optimiser.
    """

    def __init__(self, frame_spread: float, steps_per_epoch: int) -> None:
        self._alive = ALIVE_SHARE * frame_spread
        self._flat = FLAT_SHARE * frame_spread if frame_spread >= LEAST_FRAME_SPREAD else 0.0
        self._frame_spread = frame_spread
        self._fresh_epochs = math.ceil(FRESH_STEPS / max(1, steps_per_epoch))
        self._epochs = 0
        self._has_lived = False
        self._in_a_row: dict[str, int] = {}

    def look(self, signs: CollapseIndicators) -> None:
        """Take the signs of one more epoch.

        Raises:
            CollapseError: with what was found and what to do.
        """
        self._epochs += 1
        values = (signs.spread, signs.dead, signs.counts_ratio or 0.0)
        if not all(math.isfinite(value) for value in values):
            raise CollapseError(
                f'the training was stopped after epoch {self._epochs}: the network gives values '
                f'that are not finite. Try this: {_SMALLER_STEPS}; keep gradient_clip_val at 1'
            )
        self._has_lived = self._has_lived or signs.spread >= self._alive
        found = dict(self._findings(signs))
        self._in_a_row = {advice: self._in_a_row.get(advice, 0) + 1 for advice in found}
        lasting = [advice for advice, epochs in self._in_a_row.items() if epochs >= PATIENCE_EPOCHS]
        if lasting:
            raise CollapseError(
                f'the training has collapsed and was stopped after epoch {self._epochs}: '
                + '; '.join(found[advice] for advice in lasting)
                + f', for {PATIENCE_EPOCHS} epochs or more. Try this: '
                + '; '.join(lasting)
            )

    def _findings(self, signs: CollapseIndicators) -> Iterator[tuple[str, str]]:
        """Yield (advice, finding) for each bad sign."""
        settled = self._has_lived or self._epochs > self._fresh_epochs or signs.spread < ALIKE
        if signs.spread < self._flat and settled:
            yield (
                _FLAT_ADVICE,
                f'the object is flat (its patches differ by {signs.spread:.2%}, the frames by '
                f'{self._frame_spread:.2%})',
            )
        if signs.dead > DEAD_SHARE:
            yield _DEAD_ADVICE, f'{signs.dead:.0%} of the ReLU channels are dead (zero throughout)'
        ratio = signs.counts_ratio
        if ratio is not None and not 1 / COUNTS_FACTOR <= ratio <= COUNTS_FACTOR:
            yield (
                _COUNTS_ADVICE,
                f'{ratio:.3g} times the measured counts are predicted (1 is right)',
            )


def frame_spread(counts: npt.NDArray[np.float32]) -> float:
    """Return how far the amplitudes of frames differ from their mean, relative to their norm.

    What photon noise can make of it is taken away. Patches O_j that explain the frames have a
    `patch_spread` at least as large: the transform keeps norms, and ||a| - |b|| <= |a - b|.

    Args:
        counts: float32 (frames, N, N), photons, bad pixels 0.
    """
    counts = counts.astype(np.float64)
    differing = (np.sqrt(counts) - np.sqrt(counts).mean(axis=0)) ** 2
    noise = np.minimum(counts.mean(axis=0), NOISE_VARIANCE).sum() * (len(counts) - 1)
    left = max(0.0, float(differing.sum() - noise))
    return math.sqrt(left / max(float(counts.sum()), 1e-30))


def patch_spread(
    patches: npt.NDArray[np.complex64],
    illumination: npt.NDArray[np.floating],
    members: int = 1,
) -> float:
    """Return how far illuminated patches differ from their mean, relative to their norm.

    0 where all groups are drawn alike; the phase of a whole patch, which no frame shows, is left
    out. Each member of a group has its own mean: a network that has collapsed draws different
    constants for them.

    Args:
        patches: complex64 (patches, N, N), the members of a group next to each other.
        illumination: (N, N), sum over modes of |probe|^2.
        members: patches a group; one group alone cannot be compared, its members are.
    """
    weight = np.asarray(illumination, np.float64)
    mean = np.sum(weight * patches, axis=(1, 2), keepdims=True)
    turned = patches * np.exp(-1j * np.angle(mean))
    if len(turned) > members:
        turned = turned.reshape(-1, members, *weight.shape)
    differing = np.sum(weight * np.abs(turned - turned.mean(axis=0)) ** 2)
    return math.sqrt(float(differing) / max(float(np.sum(weight * np.abs(turned) ** 2)), 1e-30))
