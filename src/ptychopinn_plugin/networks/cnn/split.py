"""Which groups a training sees and which judge it, batch by batch, the same in every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.networks.cnn.architecture import input_channels
from ptychopinn_plugin.networks.cnn.batching import equal_batches, compact_batches
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.frame_groups import Index, draw_groups, sampled_frames
from ptychopinn_plugin.scan import ScanData

# Validation needs a few frames of its own, and leaves as many to train on.
FEWEST_FRAMES = 4


@dataclass(frozen=True, eq=False)
class DatasetSplit:
    """What a training sees, and what judges it.

    Attributes:
        scans: the scans.
        training: int64 (groups, C) for each scan.
        validation: int64 (groups, C) for each scan, of a strip that training does not see.
        batch_size: groups a batch.
        seed: of the batches' order.
    """

    scans: tuple[GroupedScan, ...]
    training: tuple[Index, ...]
    validation: tuple[Index, ...]
    batch_size: int
    seed: int

    @classmethod
    def of(
        cls,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        *,
        with_ground_truth: bool,
    ) -> DatasetSplit:
        """Draw the groups of a training.

        Raises:
            PatchError: groups cannot be filled.
            ScanDataError: an object is needed and not known.
        """
        drawn = [training_groups(scan.positions_px, model, training) for scan in scans]
        grouped = tuple(
            GroupedScan.from_scan(
                scan,
                model,
                groups,
                number=number,
                with_ground_truth=with_ground_truth,
                overlap=training.overlap,
            )
            for number, (scan, groups) in enumerate(zip(scans, drawn, strict=True))
        )
        seen, held_out = zip(*drawn, strict=True)
        return cls(grouped, seen, held_out, training.batch_size, training.seed)

    def epoch(self, epoch: int) -> BatchSequence:
        """Return the shuffled batches of an epoch, the same ones in every backend."""
        random = np.random.RandomState([self.seed, epoch])
        parts: list[tuple[int, Index]] = []
        for number, groups in enumerate(self.training):
            dealt = batch_groups(self.scans[number], groups, self.batch_size, random)
            parts.extend((number, part) for part in dealt)
        order = random.permutation(len(parts))
        return BatchSequence(self.scans, [parts[place] for place in order.tolist()])

    def held_out(self) -> BatchSequence:
        """Return the batches that judge every epoch, always the same ones."""
        random = np.random.RandomState([self.seed])
        return BatchSequence(
            self.scans,
            [
                (number, part)
                for number, groups in enumerate(self.validation)
                for part in batch_groups(self.scans[number], groups, self.batch_size, random)
            ],
        )

    @property
    def photons(self) -> float:
        """Photons a frame, the mean of the scans."""
        return float(np.mean([scan.photons for scan in self.scans]))

    @property
    def steps_per_epoch(self) -> int:
        """BatchSequence an epoch."""
        return sum(math.ceil(len(groups) / self.batch_size) for groups in self.training)


class BatchSequence:
    """BatchSequence in their order, each made when it is asked for."""

    def __init__(self, scans: Sequence[GroupedScan], parts: Sequence[tuple[int, Index]]) -> None:
        self.scans = scans
        self.parts = parts

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.parts)

    def __getitem__(self, index: int) -> GroupBatch:
        """Make a batch."""
        number, groups = self.parts[index]
        return self.scans[number].batch(groups)

    def __iter__(self) -> Iterator[GroupBatch]:
        """Make one batch after the other."""
        return (self[index] for index in range(len(self)))


def training_groups(
    positions_px: npt.NDArray[np.float64], model: ModelConfig, training: TrainingConfig
) -> tuple[Index, Index]:
    """Return the groups of a training and those of its validation, int64 (groups, C) each.

    The last rows of the scan are kept for validation; no group spans both.

    Raises:
        PatchError: groups cannot be filled.
    """
    frames = sampled_frames(
        len(positions_px),
        n_subsample=training.n_subsample,
        subsample_seed=training.subsample_seed,
        sequential=training.sequential_sampling,
    )
    seen, held_out = _strips(positions_px, frames, model, training)
    wanted = math.ceil(training.n_groups * training.validation_fraction)
    return (
        _drawn(positions_px, seen, model, training, training.n_groups),
        _drawn(positions_px, held_out, model, training, min(wanted, len(held_out))),
    )


def inference_groups(
    positions_px: npt.NDArray[np.float64], model: ModelConfig, grouping: GroupingConfig
) -> Index:
    """Return the groups of a reconstruction, int64 (groups, C).

    Raises:
        PatchError: groups cannot be filled.
    """
    return draw_groups(
        positions_px,
        gridsize=model.gridsize,
        neighbor_count=grouping.neighbors_for(model.gridsize),
        n_groups=grouping.n_groups,
        n_subsample=grouping.n_subsample,
        subsample_seed=grouping.subsample_seed,
        sequential_sampling=grouping.sequential_sampling,
    )


def batch_groups(
    grouped: GroupedScan, groups: Index, batch_size: int, random: np.random.RandomState
) -> list[Index]:
    """Deal groups into batches of like sizes, int64 (up to batch_size, C) each.

    Groups whose patches are merged lie close together; others come in any order.
    """
    if grouped.merges_batches:
        centres_px = grouped.scan.positions_px[groups].mean(axis=1)
        return compact_batches(groups, centres_px, batch_size, random)
    return equal_batches(groups[random.permutation(len(groups))], batch_size)


def _strips(
    positions_px: npt.NDArray[np.float64],
    frames: Index,
    model: ModelConfig,
    training: TrainingConfig,
) -> tuple[Index, Index]:
    """Keep the last rows for validation; a scan too small for that judges itself."""
    order = frames[np.argsort(positions_px[frames, 0], kind='stable')]
    fewest = max(FEWEST_FRAMES, input_channels(model))
    if len(order) < 2 * fewest:
        return order, order
    kept = max(fewest, round(training.validation_fraction * len(order)))
    return np.sort(order[:-kept]), np.sort(order[-kept:])


def _drawn(
    positions_px: npt.NDArray[np.float64],
    frames: Index,
    model: ModelConfig,
    grouping: GroupingConfig,
    n_groups: int,
) -> Index:
    """Draw groups among some frames only."""
    groups = draw_groups(
        positions_px[frames],
        gridsize=model.gridsize,
        neighbor_count=grouping.neighbors_for(model.gridsize),
        n_groups=n_groups,
        subsample_seed=grouping.subsample_seed,
        sequential_sampling=grouping.sequential_sampling,
    )
    return np.asarray(frames[groups])
