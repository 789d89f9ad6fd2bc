"""How the optimiser's steps are sized, the same for every backend."""

from __future__ import annotations

import math

from ptychopinn_plugin.config import TrainingConfig

WEIGHT_DECAY = 1e-4
WARM_UP_STEPS = 60
GRADIENT_CLIP = 1.0


def learning_rate_factor(config: TrainingConfig, episode: int) -> float:
    """Return the factor of the peak learning rate: a warm-up, then a cosine to a hundredth."""
    episodes = config.epochs * config.steps_per_epoch
    cosine = 0.5 * (1 + math.cos(math.pi * min(episode / episodes, 1)))
    return min(1.0, (episode + 1) / min(WARM_UP_STEPS, episodes)) * (0.99 * cosine + 0.01)
