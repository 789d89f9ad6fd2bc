"""Checks of a scan before a reconstruction: photons, mask, overlap, probe against data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import statistics as stats
from ptychopinn_plugin.scan.advice import notes, warnings
from ptychopinn_plugin.scan.bad_pixels import DARKEST, find_bad_pixels
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.data import ScanData
from ptychopinn_plugin.scan.frame_outliers import (
    frame_numbers,
    frames_unlike_neighbours,
    neighbour_variation,
)
from ptychopinn_plugin.scan.photon_steps import photon_step
from ptychopinn_plugin.scan.preflight_report import Photons, PreflightReport


def preflight(scan: ScanData, orientation: Sequence[str] | None = None) -> PreflightReport:
    """Compute photons, mask, zero frequency, overlap and probe against data of a scan.

    Takes one pass over the frames and a few megabytes.

    Args:
        scan: a checked scan.
        orientation: hints from trial reconstructions, one sentence each.
    """
    frames = stats.frame_statistics(scan)
    alone = stats.empty_object_frame(scan.probe)
    good = ~scan.mask
    canvas = Canvas.for_scan(scan)
    bad = find_bad_pixels(scan, frames.mean_frame)
    step = stats.neighbour_step_px(scan.positions_px)
    diameter = stats.probe_diameter_px(scan.probe)
    extent = np.ptp(scan.positions_px, axis=0)
    filled = stats.filled_share(scan.positions_px, diameter)
    reached = filled * float(np.prod(extent + diameter)) / float(np.prod(canvas.shape))
    report = PreflightReport(
        source=scan.source,
        decisions=scan.decisions,
        frames=scan.frame_count,
        frame_size=scan.frame_size,
        modes=scan.mode_count,
        photons_per_frame=Photons(
            median=float(np.median(frames.totals)),
            mean=float(frames.totals.mean()),
            minimum=float(frames.totals.min()),
            maximum=float(frames.totals.max()),
        ),
        peak_count=frames.peak,
        pixels_at_peak=frames.at_peak,
        whole_counts=bool(np.array_equal(frames.totals, np.rint(frames.totals))),
        empty_frames=int(np.count_nonzero(frames.totals == 0)),
        unlike_frames=_numbers(scan, frames_unlike_neighbours(frames.totals, scan.positions_px)),
        repeated_frames=_numbers(scan, frames.repeated),
        photon_step=_photon_step(scan, frames.totals),
        masked_fraction=float(scan.mask.mean()),
        masked_light=float(alone[scan.mask].sum() / alone.sum()),
        dark_regions=bad.dark_regions(),
        hot_pixels=tuple((int(row), int(column)) for row, column in np.argwhere(bad.hot)),
        zero_frequency=stats.zero_frequency_place(frames.mean_frame, scan.mask),
        beam_offset_px=stats.beam_offset_px(frames.mean_frame, alone, good),
        scan_extent_px=(float(extent[0]), float(extent[1])),
        canvas_shape=canvas.shape,
        canvas_origin_px=canvas.origin_px,
        covered_share=min(1.0, reached),
        filled_share=filled,
        far_frames=_numbers(scan, stats.far_positions(scan.positions_px, scan.frame_size)),
        duplicate_positions=scan.frame_count - len(np.unique(scan.positions_px, axis=0)),
        neighbour_step_px=step,
        probe_diameter_px=diameter,
        overlap=1 - step / diameter,
        probe_photons=float(alone.sum()),
        photon_ratio=float(frames.mean_frame[good].sum() / max(alone[good].sum(), 1e-300)),
        probe_correlation=stats.correlation(frames.mean_frame, alone, good),
        probe_is_unknown=scan.metadata.probe_is_unknown,
        pixel_size_m=scan.metadata.pixel_size_m,
        photon_energy_ev=scan.metadata.photon_energy_ev,
        detector_distance_m=scan.metadata.detector_distance_m,
        frames_megabytes=scan.counts.nbytes / 2**20,
        neighbour_variation=neighbour_variation(frames.totals, scan.positions_px),
        darkest_counts=float(np.quantile(frames.mean_frame[good], DARKEST)),
        orientation_hints=tuple(orientation or ()),
    )
    found = tuple(warnings(report))
    return report.model_copy(
        update={'warnings': found, 'recommendations': (*found, *notes(report))}
    )


def _numbers(scan: ScanData, frames: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(number) for number in frame_numbers(scan, frames))


def _photon_step(scan: ScanData, totals: npt.NDArray[np.float64]) -> tuple[int, float] | None:
    step = photon_step(totals, scan.positions_px)
    if step is None:
        return None
    return _numbers(scan, np.array([step.frame]))[0], step.ratio
