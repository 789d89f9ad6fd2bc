"""Training episodes from measured scans alone: no object needs to be known.

Photons obey Poisson statistics, so keeping each with a chance p makes a scan of p times the dose,
and the photons left out are a second scan of the same object whose noise is independent of the
first (Batson and Royer, Noise2Self, ICML 2019, doi:10.48550/arXiv.1901.11365, prove that a loss on
such data needs no ground truth). An episode reconstructs the thinned scan and is evaluated on the
photons left out; dropping frames makes a sparser scan, evaluated on the dropped frames too. One
bright scan gives training data for all lower doses and all larger scan steps.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.photons import mean_photons
from ptychopinn_plugin.scan.thinning import split_photons, whole_photons

# Photons a frame that thinning goes down to, and the shares of photons it may keep: at most half,
# so that as many are held out.
FEWEST_PHOTONS = 300.0
LEAST_KEPT, MOST_KEPT = 1e-4, 0.5
# Photons an object pixel beyond which errors are not those of noise: there is little to learn, and
# the gate by dose stays shut where nothing was measured.
LARGEST_DOSE = 3e3
# Shares of the frames that a sparse episode keeps: a scan step 2 or 3 times as large.
SPARSE_SHARES = (1 / 4, 1 / 9)
# Share of the frames whose held-out photons are evaluated; it bounds the cost of a loss.
HELD_OUT_SHARE = 1 / 3
# Physics passes before the network is applied, fewest and most, and those until it is applied again
# to the object that physics alone has reached: reconstructions apply it after their last pass.
PASSES = ((14, 22), (6, 10))
FEWEST_FRAMES = 4
# Crops that are drawn until one has photons to see and photons to hold out.
TRIES = 20


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """A scan to train on, with its reconstruction by physics alone from all frames.

    Attributes:
        scan: the frames and the probe.
        reference: complex64 (H, W), the reconstruction by physics from all photons.
        canvas: the reference's canvas.
        training_frames: int64, frames that training may use.
        validation_frames: int64, frames of a strip of the scan kept for validation.
    """

    scan: ScanData
    reference: npt.NDArray[np.complex64]
    canvas: Canvas
    training_frames: npt.NDArray[np.int64]
    validation_frames: npt.NDArray[np.int64]

    @classmethod
    def from_scan(
        cls,
        scan: ScanData,
        reference: npt.NDArray[np.complex64],
        canvas: Canvas,
        validation_fraction: float,
    ) -> TrainingScan:
        """Reserve the last rows of a scan for validation."""
        order = np.argsort(scan.positions_px[:, 0], kind='stable').astype(np.int64)
        kept = max(FEWEST_FRAMES, round(validation_fraction * scan.frame_count))
        if scan.frame_count < 2 * FEWEST_FRAMES:
            return cls(scan, reference, canvas, order, order)
        return cls(scan, reference, canvas, order[:-kept], order[-kept:])


@dataclass(frozen=True, eq=False)
class Episode:
    """One crop of one scan, thinned.

    Attributes:
        crop: the frames that are reconstructed.
        held_out_scan: photons and frames that are not, on the same canvas.
        reference: complex64 (H, W), the scan's reference on the crop's canvas.
        passes: physics passes before each application of the network.
    """

    crop: ScanData
    held_out_scan: ScanData
    reference: npt.NDArray[np.complex64]
    passes: tuple[int, ...]


def training_episode(
    scan: TrainingScan, config: TrainingConfig, rng: np.random.Generator
) -> Episode:
    """Draw an episode from the training frames of a scan."""
    return _episode(
        scan,
        scan.training_frames,
        config.crop_frames,
        kept_photons=_draw_kept_photons(scan.scan, rng),
        kept_frames=_draw_kept_frames(config, rng),
        rng=rng,
    )


def validation_episode(
    scan: TrainingScan,
    config: TrainingConfig,
    position: float,
    *,
    sparse: bool,
    rng: np.random.Generator,
) -> Episode:
    """Draw an episode from the validation frames of a scan.

    Args:
        scan: the scan.
        config: the crop's size.
        position: 0 to 1, where between the lowest and the highest dose.
        sparse: whether to drop most frames.
        rng: of the crop and the photons.
    """
    low, high = _dose_range(scan.scan)
    return _episode(
        scan,
        scan.validation_frames,
        config.crop_frames,
        kept_photons=low * (high / low) ** position,
        kept_frames=SPARSE_SHARES[0] if sparse else 1.0,
        rng=rng,
    )


def _dose_range(scan: ScanData) -> tuple[float, float]:
    """Return the least and greatest share of photons to keep."""
    photons = max(mean_photons(scan), 1.0)
    low = min(max(FEWEST_PHOTONS / photons, LEAST_KEPT), MOST_KEPT / 2)
    high = LARGEST_DOSE * _pixels_per_frame(scan) / photons
    return low, min(max(high, 2 * low), MOST_KEPT)


def _pixels_per_frame(scan: ScanData) -> float:
    """Return how many object pixels there are for each frame, at least one."""
    sides = np.ptp(scan.positions_px, axis=0)
    return max(float(np.prod(sides)) / scan.frame_count, 1.0)


def _draw_kept_photons(scan: ScanData, rng: np.random.Generator) -> float:
    low, high = _dose_range(scan)
    return float(low * (high / low) ** rng.random())


def _draw_kept_frames(config: TrainingConfig, rng: np.random.Generator) -> float:
    sparse = rng.random() < config.sparse_share
    return float(rng.choice(SPARSE_SHARES)) if sparse else 1.0


def _episode(
    scan: TrainingScan,
    frames: npt.NDArray[np.int64],
    crop_frames: int,
    *,
    kept_photons: float,
    kept_frames: float,
    rng: np.random.Generator,
) -> Episode:
    """Cut a crop of neighbouring frames and split its photons at random.

    Raises:
        ScanDataError: the frames hold so few photons that parts of them hold none.
    """
    good = ~scan.scan.mask
    for _ in range(TRIES):
        chosen = _neighbours(scan.scan, frames, crop_frames, rng)
        photons = whole_photons(scan.scan.counts[chosen], rng).astype(np.float32)
        seen, rest = split_photons(photons, kept_photons, rng)
        count = len(chosen)
        used = _draw(count, max(FEWEST_FRAMES, round(count * kept_frames)), rng)
        held_out = _draw(count, max(FEWEST_FRAMES, round(count * HELD_OUT_SHARE)), rng)
        if seen[used][:, good].any() and rest[held_out][:, good].any():
            break
        # Where photons are few, an empty part has no information: more are kept next time.
        kept_photons = min(2 * kept_photons, MOST_KEPT)
    else:
        raise _too_faint(scan.scan, len(used))
    placed, reference = _placed(scan, chosen)
    return Episode(
        crop=_part(placed, seen, used, kept_photons),
        held_out_scan=_part(placed, rest, held_out, 1 - kept_photons),
        reference=reference,
        passes=tuple(int(rng.integers(least, most + 1)) for least, most in PASSES),
    )


def _too_faint(scan: ScanData, frames: int) -> ScanDataError:
    return ScanDataError(
        [
            f'{mean_photons(scan):.3g} photons a frame are too few to train on: of {frames} frames '
            'with half of their photons none was left; train on a brighter scan, the model then '
            'works on fainter ones too'
        ],
        scan.source,
    )


def _neighbours(
    scan: ScanData, frames: npt.NDArray[np.int64], count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the frames nearest to one of them drawn at random."""
    positions = scan.positions_px[frames]
    centre = positions[rng.integers(len(frames))]
    _, nearest = cKDTree(positions).query(centre, k=min(count, len(frames)))
    chosen: npt.NDArray[np.int64] = frames[np.sort(np.atleast_1d(nearest))]
    return chosen


def _draw(count: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw some of `count` frames, in order."""
    return np.sort(rng.permutation(count)[: min(size, count)]).astype(np.int64)


def _placed(
    scan: TrainingScan, chosen: npt.NDArray[np.int64]
) -> tuple[ScanData, npt.NDArray[np.complex64]]:
    """Move chosen frames to a canvas of their own; cut the reference to it."""
    whole = scan.scan
    positions = whole.positions_px[chosen]
    corners, _ = patch_placement(positions, whole.frame_size)
    first, last = corners.min(axis=0), corners.max(axis=0) + whole.frame_size
    shape = tuple(int(side) for side in last - first)
    row, column = (int(v) for v in first - np.asarray(scan.canvas.origin_px))
    reference = scan.reference[row : row + shape[0], column : column + shape[1]]
    placed = dataclasses.replace(
        whole.subset(chosen),
        positions_px=positions - first,
        object_guess=np.ones(shape, np.complex64),
        true_patches=None,
    )
    return placed, np.ascontiguousarray(reference)


def _part(
    placed: ScanData,
    photons: npt.NDArray[np.float32],
    frames: npt.NDArray[np.int64],
    share: float,
) -> ScanData:
    """Return the scan of some frames with a share of the photons, the probe scaled to it."""
    return dataclasses.replace(
        placed,
        counts=photons[frames],
        positions_px=placed.positions_px[frames],
        probe=(placed.probe * math.sqrt(share)).astype(np.complex64),
        metadata=dataclasses.replace(placed.metadata, scan_index=None),
        estimates=Estimates(),
    )
