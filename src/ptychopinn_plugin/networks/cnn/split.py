"""Training and validation groups, and their batches, the same ones in every backend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.networks.cnn.architecture import group_frames, group_side
from ptychopinn_plugin.networks.cnn.back_projection import ObjectImage
from ptychopinn_plugin.networks.cnn.batching import compact_batches, equal_batches
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.disjoint_groups import disjoint_groups
from ptychopinn_plugin.networks.cnn.frame_groups import Index, draw_groups, sampled_frames
from ptychopinn_plugin.scan import ScanData

# Validation needs a few frames of its own, and leaves as many to train on.
FEWEST_FRAMES = 4


@dataclass(frozen=True, eq=False)
class DatasetSplit:
    """The groups of a training and those of its validation.

    Attributes:
        scans: the scans.
        training: int64 (groups, C) for each scan.
        validation: int64 (groups, C) for each scan, from a strip that training does not use.
        batch_size: groups a batch.
        seed: of the batches' order.
    """

    scans: tuple[GroupedScan, ...]
    training: tuple[Index, ...]
    validation: tuple[Index, ...]
    batch_size: int
    seed: int

    @classmethod
    def from_scans(
        cls,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        *,
        with_ground_truth: bool,
        targets: Sequence[ObjectImage | None] = (),
    ) -> DatasetSplit:
        """Draw the groups of a training.

        Args:
            scans: the scans.
            model: the architecture.
            training: groups, batches and their seeds.
            with_ground_truth: whether batches hold patches of the true object.
            targets: the object of each scan that the network learns in place of the frames; none
                where it learns the frames.

        Raises:
            PatchError: groups cannot be filled.
            ScanDataError: the true object is needed and not known.
        """
        groups = [training_groups(scan.positions_px, model, training) for scan in scans]
        grouped = tuple(
            GroupedScan.from_scan(
                scan,
                model,
                both,
                index=index,
                with_ground_truth=with_ground_truth,
                overlap=training.overlap,
                target=target,
            )
            for index, (scan, both, target) in enumerate(
                zip(scans, groups, targets or [None] * len(scans), strict=True)
            )
        )
        trained, validated = zip(*groups, strict=True)
        return cls(grouped, trained, validated, training.batch_size, training.seed)

    def training_batches(self, epoch: int) -> BatchSequence:
        """Return the shuffled batches of an epoch, the same ones in every backend."""
        random = np.random.RandomState([self.seed, epoch])
        batches = self._batches(self.training, random)
        order = random.permutation(len(batches))
        return BatchSequence(self.scans, [batches[place] for place in order.tolist()])

    def validation_batches(self) -> BatchSequence:
        """Return the validation batches, the same ones in every epoch."""
        random = np.random.RandomState([self.seed])
        return BatchSequence(self.scans, self._batches(self.validation, random))

    @property
    def photons(self) -> float:
        """Photons a frame, the mean of the scans."""
        return float(np.mean([scan.photons for scan in self.scans]))

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""
        return sum(math.ceil(len(groups) / self.batch_size) for groups in self.training)

    def _batches(
        self, groups: Sequence[Index], random: np.random.RandomState
    ) -> list[tuple[int, Index]]:
        """Return the scan and the groups of each batch, scan by scan."""
        return [
            (index, batch)
            for index, (scan, own) in enumerate(zip(self.scans, groups, strict=True))
            for batch in batch_groups(scan, own, self.batch_size, random)
        ]


class BatchSequence:
    """Batches in their order, each computed when it is indexed.

    Args:
        scans: the scans.
        groups: for each batch, the index of its scan and its groups, int64 (b, C).
    """

    def __init__(self, scans: Sequence[GroupedScan], groups: Sequence[tuple[int, Index]]) -> None:
        self.scans = scans
        self.groups = groups

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.groups)

    def __getitem__(self, index: int) -> GroupBatch:
        """Compute a batch."""
        scan, groups = self.groups[index]
        return self.scans[scan].batch(groups)

    def __iter__(self) -> Iterator[GroupBatch]:
        """Compute one batch after the other."""
        return (self[index] for index in range(len(self)))


def training_groups(
    positions_px: npt.NDArray[np.float64], model: ModelConfig, training: TrainingConfig
) -> tuple[Index, Index]:
    """Return the groups of a training and those of its validation, int64 (groups, C) each.

    The last rows of the scan are reserved for validation; no group spans both.

    Raises:
        PatchError: groups cannot be filled.
    """
    frames = sampled_frames(
        len(positions_px),
        n_subsample=training.n_subsample,
        subsample_seed=training.subsample_seed,
        sequential=training.sequential_sampling,
    )
    trained, validated = _split_frames(positions_px, frames, model, training)
    wanted = math.ceil(training.n_groups * training.validation_fraction)
    return (
        _draw_among(positions_px, trained, model, training, training.n_groups),
        _draw_among(positions_px, validated, model, training, min(wanted, len(validated))),
    )


def inference_groups(
    positions_px: npt.NDArray[np.float64], model: ModelConfig, grouping: InferenceConfig
) -> Index:
    """Return the groups of a reconstruction, int64 (groups, C).

    A number of groups, or of neighbours to draw from, asks for groups around frames; so does a
    model that draws the patch of a group's own frame only.

    Raises:
        PatchError: groups cannot be filled.
    """
    around_frames = grouping.n_groups or grouping.neighbor_count or not model.object_big
    if grouping.grouping == 'disjoint' and not around_frames:
        return disjoint_groups(
            positions_px,
            gridsize=group_side(model),
            n_subsample=grouping.n_subsample,
            subsample_seed=grouping.subsample_seed,
            sequential_sampling=grouping.sequential_sampling,
        )
    return draw_groups(
        positions_px,
        gridsize=group_side(model),
        neighbor_count=grouping.neighbors_for(group_side(model)),
        n_groups=grouping.n_groups,
        n_subsample=grouping.n_subsample,
        subsample_seed=grouping.subsample_seed,
        sequential_sampling=grouping.sequential_sampling,
    )


def batch_groups(
    grouped: GroupedScan, groups: Index, batch_size: int, random: np.random.RandomState
) -> list[Index]:
    """Divide groups into batches of about equal size, int64 (up to batch_size, C) each.

    Groups whose patches are merged lie close together; others come in random order.
    """
    if grouped.merges_batches:
        centres_px = grouped.scan.positions_px[groups].mean(axis=1)
        return compact_batches(groups, centres_px, batch_size, random)
    return equal_batches(groups[random.permutation(len(groups))], batch_size)


def _split_frames(
    positions_px: npt.NDArray[np.float64],
    frames: Index,
    model: ModelConfig,
    training: TrainingConfig,
) -> tuple[Index, Index]:
    """Reserve the last rows for validation; a scan too small for that is used for both."""
    order = frames[np.argsort(positions_px[frames, 0], kind='stable')]
    fewest = max(FEWEST_FRAMES, group_frames(model))
    if len(order) < 2 * fewest:
        return order, order
    reserved = max(fewest, round(training.validation_fraction * len(order)))
    return np.sort(order[:-reserved]), np.sort(order[-reserved:])


def _draw_among(
    positions_px: npt.NDArray[np.float64],
    frames: Index,
    model: ModelConfig,
    grouping: GroupingConfig,
    n_groups: int,
) -> Index:
    """Draw groups among some frames only."""
    groups = draw_groups(
        positions_px[frames],
        gridsize=group_side(model),
        neighbor_count=grouping.neighbors_for(group_side(model)),
        n_groups=n_groups,
        subsample_seed=grouping.subsample_seed,
        sequential_sampling=grouping.sequential_sampling,
    )
    return np.asarray(frames[groups])
