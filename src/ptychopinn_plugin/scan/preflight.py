"""Checks of a scan before a reconstruction: photons, mask, overlap, probe against data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ptychopinn_plugin.scan import statistics as stats
from ptychopinn_plugin.scan.advice import advise
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.data import ScanData


class Photons(BaseModel):
    """Photons a frame, outside the mask."""

    model_config = ConfigDict(frozen=True)

    median: float
    mean: float
    minimum: float
    maximum: float


class PreflightReport(BaseModel):
    """Figures of a scan; every field is plain data and goes into JSON.

    Attributes:
        source: where the scan came from.
        decisions: how the reader interpreted the file and why.
        frames: number of frames n.
        frame_size: N, pixels.
        modes: probe modes.
        photons_per_frame: photons of the frames outside the mask.
        peak_count: the highest count of any pixel.
        pixels_at_peak: how many pixels of all frames hold it; many mean saturation.
        empty_frames: frames without any photon.
        masked_fraction: of the detector pixels.
        hot_pixels: (row, column) of pixels far brighter than all around them.
        zero_frequency: 'center', 'corner' or 'unclear'.
        scan_extent_px: (height, width) spanned by the positions, object pixels.
        canvas_shape: (H, W) of the object canvas.
        canvas_origin_px: (row, column) coordinate of its first pixel.
        duplicate_positions: frames taken where another one was.
        neighbour_step_px: median distance to the nearest other position.
        probe_diameter_px: of the circle that holds 90 % of the probe's photons.
        overlap: 1 - step / diameter, the linear overlap of neighbouring probes (Bunk et al.,
            Ultramicroscopy 108, 481, 2008, doi:10.1016/j.ultramic.2007.08.003).
        probe_photons: sum |P|^2.
        photon_ratio: photons of the mean frame over those of the probe alone.
        probe_correlation: of the amplitudes of the mean frame with those of the probe alone.
        pixel_size_m: (height, width) of an object pixel, None where unknown.
        photon_energy_ev: None where unknown.
        detector_distance_m: None where unknown.
        frames_megabytes: memory of the frames as float32.
        orientation_hints: from trial reconstructions, where they were made.
        recommendations: one sentence each; empty where all figures are in the usual range.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    decisions: tuple[str, ...]
    frames: int
    frame_size: int
    modes: int
    photons_per_frame: Photons
    peak_count: float
    pixels_at_peak: int
    empty_frames: int
    masked_fraction: float
    hot_pixels: tuple[tuple[int, int], ...]
    zero_frequency: stats.ZeroFrequencyPlace
    scan_extent_px: tuple[float, float]
    canvas_shape: tuple[int, int]
    canvas_origin_px: tuple[int, int]
    duplicate_positions: int
    neighbour_step_px: float
    probe_diameter_px: float
    overlap: float
    probe_photons: float
    photon_ratio: float
    probe_correlation: float
    pixel_size_m: tuple[float, float] | None
    photon_energy_ev: float | None
    detector_distance_m: float | None
    frames_megabytes: float
    orientation_hints: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()


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
    step = stats.neighbour_step_px(scan.positions_px)
    diameter = stats.probe_diameter_px(scan.probe)
    extent = np.ptp(scan.positions_px, axis=0)
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
        empty_frames=int(np.count_nonzero(frames.totals == 0)),
        masked_fraction=float(scan.mask.mean()),
        hot_pixels=tuple(stats.hot_pixels(frames.mean_frame, scan.mask)),
        zero_frequency=stats.zero_frequency_place(frames.mean_frame),
        scan_extent_px=(float(extent[0]), float(extent[1])),
        canvas_shape=canvas.shape,
        canvas_origin_px=canvas.origin_px,
        duplicate_positions=scan.frame_count - len(np.unique(scan.positions_px, axis=0)),
        neighbour_step_px=step,
        probe_diameter_px=diameter,
        overlap=1 - step / diameter,
        probe_photons=float(alone.sum()),
        photon_ratio=float(frames.mean_frame[good].sum() / max(alone[good].sum(), 1e-300)),
        probe_correlation=stats.correlation(frames.mean_frame, alone, good),
        pixel_size_m=scan.metadata.pixel_size_m,
        photon_energy_ev=scan.metadata.photon_energy_ev,
        detector_distance_m=scan.metadata.detector_distance_m,
        frames_megabytes=scan.counts.nbytes / 2**20,
        orientation_hints=tuple(orientation or ()),
    )
    return report.model_copy(update={'recommendations': tuple(advise(report))})
