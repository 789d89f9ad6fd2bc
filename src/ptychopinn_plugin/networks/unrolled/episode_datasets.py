"""The episodes of a training, in their order, each from a random stream of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.networks.unrolled.episodes import (
    Episode,
    TrainingScan,
    training_episode,
    validation_episode,
)

# A random stream of its own for validation, the same in every epoch.
TRAINING_STREAM, VALIDATION_STREAM = 0, 1


class TrainingEpisodes:
    """The episodes of one epoch."""

    def __init__(self, scans: Sequence[TrainingScan], config: TrainingConfig, epoch: int) -> None:
        self.scans = scans
        self.config = config
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the episodes of an epoch."""
        return self.config.steps_per_epoch

    def __iter__(self) -> Iterator[Episode]:
        """Draw one episode after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode; consecutive episodes cycle through the scans."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = self.epoch * len(self) + index
        rng = np.random.default_rng([self.config.seed, TRAINING_STREAM, number])
        return training_episode(self.scans[number % len(self.scans)], self.config, rng)


class ValidationEpisodes:
    """Fixed episodes from held-out strips, from the lowest to the highest dose.

    Every other one is sparse.
    """

    def __init__(self, scans: Sequence[TrainingScan], config: TrainingConfig) -> None:
        self.scans = scans
        self.config = config

    def __len__(self) -> int:
        """Return the number of episodes."""
        return self.config.validation_episodes

    def __iter__(self) -> Iterator[Episode]:
        """Draw one episode after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Episode:
        """Draw an episode; consecutive episodes cycle through the scans."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self.config.seed, VALIDATION_STREAM, index])
        return validation_episode(
            self.scans[index % len(self.scans)],
            self.config,
            index // 2 / max((len(self) - 1) // 2, 1),
            sparse=index % 2 == 1,
            rng=rng,
        )
