"""The episodes of a training, in their order, each from a random stream of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.networks.unrolled.episodes import (
    PASSES,
    Episode,
    TrainingScan,
    training_episode,
    validation_episode,
)

# Random streams of their own: of the episodes' photons, of validation, which is the same in every
# epoch, and of the order in which an epoch uses its episodes.
TRAINING_STREAM, VALIDATION_STREAM, ORDER_STREAM = 0, 1, 2
# Share of the episodes that each epoch replaces. To reconstruct one costs as much as three visits,
# so that few are replaced; with none at all a long training would fit their noise.
FRESH_SHARE = 0.1


class Visit(NamedTuple):
    """One use of an episode in an epoch.

    Attributes:
        number: of the episode in the training, or in the validation.
        symmetries: for each of its states, which of the 8 symmetries of the square the network
            works in.
        episode: None where it is known already, reconstructed.
    """

    number: int
    symmetries: tuple[int, ...]
    episode: Episode | None


class TrainingEpisodes:
    """The episodes of one epoch, in random order: those of the last one, and some new ones.

    Args:
        scans: the scans.
        config: the number of episodes, their size and the seed.
        epoch: its number from 0.
        known: numbers of the episodes that need not be drawn.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        config: TrainingConfig,
        epoch: int,
        known: AbstractSet[int] = frozenset(),
    ) -> None:
        self.scans = scans
        self.config = config
        self.known = known
        self.first = epoch * max(1, round(FRESH_SHARE * config.steps_per_epoch))
        rng = np.random.default_rng([config.seed, ORDER_STREAM, epoch])
        self._order = self.first + rng.permutation(config.steps_per_epoch)
        self._symmetries = rng.integers(8, size=(config.steps_per_epoch, len(PASSES)))

    def __len__(self) -> int:
        """Return the episodes of an epoch."""
        return self.config.steps_per_epoch

    def __iter__(self) -> Iterator[Visit]:
        """Draw one episode after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Visit:
        """Draw an episode; episodes of consecutive numbers cycle through the scans."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(self._order[index])
        symmetries = tuple(int(each) for each in self._symmetries[index])
        if number in self.known:
            return Visit(number, symmetries, None)
        rng = np.random.default_rng([self.config.seed, TRAINING_STREAM, number])
        scan = self.scans[number % len(self.scans)]
        return Visit(number, symmetries, training_episode(scan, self.config, rng))


class ValidationEpisodes:
    """Fixed episodes from held-out strips, from the lowest to the highest dose.

    Every other one is sparse.

    Args:
        scans: the scans.
        config: the number of episodes, their size and the seed.
        known: numbers of the episodes that need not be drawn.
    """

    def __init__(
        self,
        scans: Sequence[TrainingScan],
        config: TrainingConfig,
        known: AbstractSet[int] = frozenset(),
    ) -> None:
        self.scans = scans
        self.config = config
        self.known = known

    def __len__(self) -> int:
        """Return the number of episodes."""
        return self.config.validation_episodes

    def __iter__(self) -> Iterator[Visit]:
        """Draw one episode after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Visit:
        """Draw an episode; consecutive episodes cycle through the scans."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        upright = (0,) * len(PASSES)
        if index in self.known:
            return Visit(index, upright, None)
        rng = np.random.default_rng([self.config.seed, VALIDATION_STREAM, index])
        episode = validation_episode(
            self.scans[index % len(self.scans)],
            self.config,
            index // 2 / max((len(self) - 1) // 2, 1),
            sparse=index % 2 == 1,
            rng=rng,
        )
        return Visit(index, upright, episode)
