"""Reconstructed episodes, kept for several epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.networks.unrolled.episode_datasets import (
    FRESH_SHARE,
    TrainingEpisodes,
    ValidationEpisodes,
    Visit,
)
from ptychopinn_plugin.networks.unrolled.episode_run import PreparedEpisode, prepare_episode
from ptychopinn_plugin.networks.unrolled.episodes import TrainingScan
from ptychopinn_plugin.physics.ops import Ops

# Bytes of frames that are kept; episodes beyond them are reconstructed again in every epoch.
MOST_BYTES = 2**30


class EpisodePool:
    """The episodes of a training, each reconstructed when it is first used.

    An epoch without reconstructions takes a third of the time.

    Args:
        scans: the scans with their references.
        config: episodes and seed.
        check: raises Cancelled to stop.

    Attributes:
        seconds: spent on reconstructions so far.
    """

    def __init__(
        self, scans: Sequence[TrainingScan], config: TrainingConfig, check: Callable[[], None]
    ) -> None:
        self.scans = scans
        self.config = config
        self.check = check
        self.seconds = 0.0
        self._training: dict[int, PreparedEpisode] = {}
        self._validation: dict[int, PreparedEpisode] = {}

    @property
    def once_seconds(self) -> float:
        """The part of `seconds`, after a first epoch, that no later epoch spends again."""
        return (1 - FRESH_SHARE) * self.seconds

    def training(self, epoch: int) -> TrainingEpisodes:
        """Return the episodes of an epoch; those that it no longer uses are forgotten."""
        episodes = TrainingEpisodes(self.scans, self.config, epoch)
        self._training = {
            number: one for number, one in self._training.items() if number >= episodes.first
        }
        episodes.known = frozenset(self._training)
        return episodes

    def validation(self) -> ValidationEpisodes:
        """Return the validation episodes."""
        return ValidationEpisodes(self.scans, self.config, frozenset(self._validation))

    def frame_size(self, visit: Visit) -> int:
        """Return the side of the frames of an episode."""
        return self.scans[visit.number % len(self.scans)].scan.frame_size

    def trained(self, ops: Ops, visit: Visit) -> PreparedEpisode:
        """Return the episode of a visit of `training`, reconstructed."""
        return self._prepared(ops, visit, self._training)

    def validated(self, ops: Ops, visit: Visit) -> PreparedEpisode:
        """Return the episode of a visit of `validation`, reconstructed."""
        return self._prepared(ops, visit, self._validation)

    def _prepared(
        self, ops: Ops, visit: Visit, kept: dict[int, PreparedEpisode]
    ) -> PreparedEpisode:
        if visit.episode is None:
            return kept[visit.number]
        started = time.perf_counter()
        prepared = prepare_episode(ops, visit.episode, self.check)
        self.seconds += time.perf_counter() - started
        if self._bytes() + prepared.held_out_scan.counts.nbytes <= MOST_BYTES:
            kept[visit.number] = prepared
        return prepared

    def _bytes(self) -> int:
        """Return the bytes of the frames that are kept."""
        every = (*self._training.values(), *self._validation.values())
        return sum(one.held_out_scan.counts.nbytes for one in every)
