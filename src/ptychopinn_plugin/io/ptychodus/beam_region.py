"""The square of the detector around the beam, from the file, the settings or the mean frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ptychodus.api.diffraction import BeamCenter, CropRegion, DiffractionDataset
from ptychodus.api.geometry import ImageExtent

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.ptychodus.stored_arrays import read_frames

# Frames that the centre of the beam is found from, evenly spread.
SAMPLED_FRAMES = 64
# Pixels above this quantile of the mean frame are hot, or the beam itself, which is many pixels.
BRIGHTEST = 0.9999
# A beam within a pixel of the middle needs no cropping.
OFF_MIDDLE_PX = 1


def find_region(
    dataset: DiffractionDataset, crop: int | None, beam_center: tuple[int, int] | None
) -> tuple[CropRegion, list[str]]:
    """Return the square of the detector that is read, and how it was found.

    Args:
        dataset: what a reader returned.
        crop: as in `read_detector_frames`.
        beam_center: as in `read_detector_frames`.

    Raises:
        ScanDataError: the square is not on the detector.
    """
    extent = dataset.get_metadata().detector_extent
    given = dataset.get_metadata().beam_center
    if beam_center is not None:
        given = BeamCenter(y_px=beam_center[0], x_px=beam_center[1])
    if crop is None and _is_whole(extent, given):
        whole = BeamCenter(extent.width_px // 2, extent.height_px // 2)
        return CropRegion.from_center_extent(whole, extent), []
    center = given or _brightest_place(dataset)
    found = 'given' if given else 'the centre of mass of the light'
    if crop is None:
        region = CropRegion.from_largest_pow2(center, extent)
    else:
        region = CropRegion.from_center_extent(center, ImageExtent(crop, crop))
    height, width = extent.get_shape()
    row, column = center.y_px, center.x_px
    starts, stops = zip(region.y_range, region.x_range, strict=True)
    if region.height_px < 1 or min(starts) < 0 or stops[0] > height or stops[1] > width:
        most = 2 * max(0, min(row, column, height - row, width - column))
        raise ScanDataError(
            [
                f'a square of {crop or 1} pixels around the beam at row {row}, column {column} '
                f'does not lie on the detector of {height} x {width} pixels, at most {most} do; '
                'see load_scan(crop=...) and load_scan(beam_center=...)'
            ]
        )
    return region, [
        f'{region.height_px} x {region.width_px} pixels were cut out of {height} x {width} around '
        f'row {row}, column {column}, {found}'
    ]


def _is_whole(extent: ImageExtent, center: BeamCenter | None) -> bool:
    """Return whether frames are square with the beam in their middle, as far as it is known."""
    height, width = extent.get_shape()
    if height != width or center is None:
        return bool(height == width)
    off = max(abs(center.y_px - height // 2), abs(center.x_px - width // 2))
    return off <= OFF_MIDDLE_PX


def _brightest_place(dataset: DiffractionDataset) -> BeamCenter:
    """Return the centre of mass of the mean frame, hot and bad pixels left out."""
    mean = _mean_frame(dataset)
    mean[np.asarray(dataset.get_bad_pixels(), np.bool_)] = 0
    # Few pixels, so bright that they would be the centre by themselves, are hot.
    mean = np.minimum(mean, np.quantile(mean, BRIGHTEST))
    total = mean.sum()
    if not (np.isfinite(total) and total > 0):
        raise ScanDataError(
            ['the frames have no light to find the beam by; name its place with '
             'load_scan(beam_center=...)']
        )  # fmt: skip
    rows, columns = np.arange(mean.shape[0]), np.arange(mean.shape[1])
    return BeamCenter(
        y_px=round(float(mean.sum(axis=1) @ rows / total)),
        x_px=round(float(mean.sum(axis=0) @ columns / total)),
    )


def _mean_frame(dataset: DiffractionDataset) -> npt.NDArray[np.float64]:
    """Return the mean of some frames, float64 (H, W); the largest value of an integer counts 0."""
    counts = [len(array.get_indexes()) for array in dataset]
    wanted = np.unique(np.linspace(0, sum(counts) - 1, SAMPLED_FRAMES).astype(int))
    mean = np.zeros(dataset.get_metadata().detector_extent.get_shape())
    first = 0
    for array, count in zip(dataset, counts, strict=True):
        some = wanted[(wanted >= first) & (wanted < first + count)] - first
        if len(some):
            frames = read_frames(array, some)
            if frames.dtype.kind in 'ui':
                frames = np.where(frames == np.iinfo(frames.dtype).max, 0, frames)
            mean += np.nan_to_num(frames, posinf=0, neginf=0).sum(axis=0, dtype=np.float64)
        first += count
    return np.maximum(mean, 0) / len(wanted)
