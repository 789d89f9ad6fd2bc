"""The report of a preflight."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ptychopinn_plugin.scan import statistics as stats


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
        whole_counts: whether the photons of all frames are whole numbers.
        empty_frames: frames without any photon.
        unlike_frames: numbers of the frames that are far brighter or darker than those around them.
        repeated_frames: numbers of the frames that hold the values of an earlier one, which was
            taken at another position.
        photon_step: (number of a frame, ratio): from that frame on the photons are so many times
            those of neighbouring frames that were taken before it; None without a clear step.
        masked_fraction: of the detector pixels.
        masked_light: share of the probe's light that falls on masked pixels.
        dark_regions: dead pixels, beamstops and gaps that are not masked, a few words each.
        hot_pixels: (row, column) of pixels far brighter than all around them.
        zero_frequency: 'center', 'corner', 'top edge', 'left edge' or 'unclear'.
        beam_offset_px: (rows, columns) that the light of the frames lies from where the probe has
            it; (0, 0) where that is not clear.
        scan_extent_px: (height, width) spanned by the positions, object pixels.
        canvas_shape: (H, W) of the object canvas.
        canvas_origin_px: (row, column) coordinate of its first pixel.
        covered_share: share of the canvas within half a probe diameter of a position, about.
        filled_share: likewise of the box of the positions, half a diameter around it included.
        far_frames: numbers of the frames that lie far from all others.
        duplicate_positions: frames taken where another one was.
        neighbour_step_px: median distance to the nearest other position.
        probe_diameter_px: of the circle that holds 90 % of the probe's photons.
        overlap: 1 - step / diameter, the linear overlap of neighbouring probes (Bunk et al.,
            Ultramicroscopy 108, 481, 2008, doi:10.1016/j.ultramic.2007.08.003).
        probe_photons: sum |P|^2.
        photon_ratio: photons of the mean frame over those of the probe alone, good pixels only.
        probe_correlation: of the amplitudes of the mean frame with those of the probe alone.
        probe_is_unknown: whether the probe is only the mean frame with a flat phase.
        pixel_size_m: (height, width) of an object pixel, None where unknown.
        photon_energy_ev: None where unknown.
        detector_distance_m: None where unknown.
        frames_megabytes: memory of the frames as float32.
        neighbour_variation: relative standard deviation of the photons of a frame from those around
            it.
        darkest_counts: mean counts of the darkest 2 % of the good pixels, a frame.
        proposed_settings: what `auto` estimates and why, where it was asked for.
        orientation_hints: from trial reconstructions, where they were made.
        focus_hints: whether the probe is out of focus, from trial reconstructions, likewise.
        warnings: what makes a reconstruction wrong or incomplete, one sentence each.
        recommendations: these, and what is unusual otherwise; empty where all figures are in the
            usual range.
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
    whole_counts: bool
    empty_frames: int
    unlike_frames: tuple[int, ...]
    repeated_frames: tuple[int, ...]
    photon_step: tuple[int, float] | None
    masked_fraction: float
    masked_light: float
    dark_regions: tuple[str, ...]
    hot_pixels: tuple[tuple[int, int], ...]
    zero_frequency: stats.ZeroFrequencyPlace
    beam_offset_px: tuple[int, int]
    scan_extent_px: tuple[float, float]
    canvas_shape: tuple[int, int]
    canvas_origin_px: tuple[int, int]
    covered_share: float
    filled_share: float
    far_frames: tuple[int, ...]
    duplicate_positions: int
    neighbour_step_px: float
    probe_diameter_px: float
    overlap: float
    probe_photons: float
    photon_ratio: float
    probe_correlation: float
    probe_is_unknown: bool
    pixel_size_m: tuple[float, float] | None
    photon_energy_ev: float | None
    detector_distance_m: float | None
    frames_megabytes: float
    neighbour_variation: float
    darkest_counts: float
    proposed_settings: tuple[str, ...] = ()
    orientation_hints: tuple[str, ...] = ()
    focus_hints: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
