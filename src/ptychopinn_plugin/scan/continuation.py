"""A scan that starts from the result of an earlier reconstruction of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.data import ScanData, ScanMetadata
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.frame_outliers import left_out_decisions
from ptychopinn_plugin.scan.reconstruction import Reconstruction
from ptychopinn_plugin.scan.statistics import neighbour_step_px

# Relative difference of two pixel sizes that are the same: products round energy and distance.
PIXEL_TOLERANCE = 0.01
# Likewise of positions that no reconstruction moved, object pixels.
HELD_PX = 0.1


def continue_from(scan: ScanData, result: Reconstruction, source: str = 'the result') -> ScanData:
    """Return a scan with the object, the probe, the positions and the estimates of a result.

    Pixel (0, 0) of the result's object gets coordinate (0, 0), as every object guess has it;
    positions and world centre follow. Object pixels that no probe reached are 1, and what a network
    changed in the object last is taken off. Where frames were left out of the scan, a result may
    have them.

    Args:
        scan: the scan, oriented as it was for the result.
        result: a reconstruction of it.
        source: of the result, for messages.

    Raises:
        ScanDataError: the result has another number of positions, another frame or pixel size, or
            positions elsewhere.
    """
    result = _of_same_frames(scan, result)
    faults = _faults(scan, result, source)
    if faults:
        raise ScanDataError(faults, scan.source)
    found = result.object_canvas
    if result.network_change is not None:
        # The passes of both together are those of one reconstruction, which the network ends.
        found = found - result.network_change
    guess = np.where(np.isfinite(found), found, np.complex64(1))
    origin_px = np.asarray(result.origin_px, np.int64)
    return dataclasses.replace(
        scan,
        positions_px=result.positions_px - origin_px,
        probe=result.probe,
        estimates=_estimates(scan, result, origin_px),
        object_guess=guess.astype(np.complex64),
        metadata=_metadata(scan, result, guess.shape),
        decisions=(*scan.decisions, f'object, probe and positions are those of {source}'),
    )


def _of_same_frames(scan: ScanData, result: Reconstruction) -> Reconstruction:
    """Return a result without the positions of frames that were left out of the scan."""
    numbers = scan.metadata.scan_index
    if result.scan_index is None or numbers is None or not left_out_decisions(scan):
        return result
    place = {int(number): row for row, number in enumerate(result.scan_index)}
    rows = np.array([place[int(n)] for n in numbers if int(n) in place], np.int64)
    return dataclasses.replace(
        result,
        positions_px=result.positions_px[rows],
        scan_index=result.scan_index[rows],
        estimates=result.estimates.subset(rows),
    )


def _faults(scan: ScanData, result: Reconstruction, source: str) -> list[str]:
    """Return why a result is none of a scan."""
    faults = []
    if len(result.positions_px) != scan.frame_count:
        faults.append(
            f'{source} has {len(result.positions_px)} positions, the scan has '
            f'{scan.frame_count} frames; continue a reconstruction of the same frames'
        )
    size = result.probe.shape[-1]
    if size != scan.frame_size:
        faults.append(
            f'the probe of {source} has {size} pixels a side, the frames of the scan have '
            f'{scan.frame_size}; continue a reconstruction of the same frames'
        )
    return faults or [*_pixel_faults(scan, result, source), *_position_faults(scan, result, source)]


def _pixel_faults(scan: ScanData, result: Reconstruction, source: str) -> list[str]:
    """Return that object pixels differ in size, where both sizes are known."""
    own, other = scan.metadata.pixel_size_m, result.pixel_size_m
    if own is None or other is None or np.allclose(own, other, rtol=PIXEL_TOLERANCE, atol=0):
        return []
    sizes = [' x '.join(f'{side * 1e9:.5g}' for side in size) for size in (other, own)]
    return [
        f'the object pixels of {source} are {sizes[0]} nm, those of the scan {sizes[1]} nm; '
        'continue a reconstruction with the same energy, distance and detector pixels'
    ]


def _position_faults(scan: ScanData, result: Reconstruction, source: str) -> list[str]:
    """Return that the frames of a result were elsewhere, or in another order.

    Scale, rotation, flips and shear are taken off, by least squares: positions may have been
    refined or oriented since.
    """
    nominal = result.estimates.nominal_positions_px
    found = result.positions_px if nominal is None else nominal
    own = scan.positions_px - scan.positions_px.mean(axis=0)
    other = found - found.mean(axis=0)
    change, *_ = np.linalg.lstsq(own, other)
    off = float(np.sqrt(np.mean(np.sum((other - own @ change) ** 2, axis=1))))
    # Where the history is not known, positions may have been refined.
    were_held = result.history.subsets > 0 and not result.history.moves_frames
    if off <= (HELD_PX if were_held else neighbour_step_px(scan.positions_px)):
        return []
    return [
        f'the positions of {source} are {off:.2g} px off those of the scan (root mean square); '
        'continue a reconstruction of the same frames in the same order'
    ]


def _estimates(
    scan: ScanData, result: Reconstruction, origin_px: npt.NDArray[np.int64]
) -> Estimates:
    """Return the estimates of a result, its nominal positions in the coordinates of its object.

    Products have no place for a background: then that of the scan stays.
    """
    found = result.estimates
    nominal, background = found.nominal_positions_px, found.background
    return dataclasses.replace(
        found,
        nominal_positions_px=None if nominal is None else nominal - origin_px,
        background=scan.estimates.background if background is None else background,
    )


def _metadata(scan: ScanData, result: Reconstruction, shape: tuple[int, ...]) -> ScanMetadata:
    """Return the metadata with the world centre of the result's object."""
    known = scan.metadata
    refined = known.probe_is_refined or result.probe_refined
    center_m = known.object_center_m
    if center_m is not None and known.pixel_size_m is not None:
        old = (0, 0) if scan.object_guess is None else scan.object_guess.shape
        first = _first_pixel(scan, result)
        moved_px = [float(first[axis]) + (shape[axis] - old[axis]) / 2 for axis in (0, 1)]
        height_m, width_m = known.pixel_size_m
        center_m = (center_m[0] + moved_px[0] * height_m, center_m[1] + moved_px[1] * width_m)
    return dataclasses.replace(
        known,
        object_center_m=center_m,
        probe_is_refined=refined,
        probe_is_unknown=False,
        history=result.history,
    )


def _first_pixel(scan: ScanData, result: Reconstruction) -> npt.NDArray[np.float64]:
    """Return the coordinate of the first pixel of the result's object in those of the scan.

    Products count pixels from the corner of their own object: the shift is the whole number that
    most frames have between both positions.
    """
    shift = np.rint(np.median(result.positions_px - scan.positions_px, axis=0))
    return np.asarray(result.origin_px - shift, np.float64)
