"""Recommendations from the figures of a preflight.

`load_scan(name='value')` in a sentence is the way to read a scan otherwise, `name = value` a
setting; the command line shows both as its flags (`config/flag_names.py`).
"""

from __future__ import annotations

from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.scan.frame_outliers import list_numbers
from ptychopinn_plugin.scan.photon_scale import RESCALED
from ptychopinn_plugin.scan.preflight_report import PreflightReport
from ptychopinn_plugin.scan.probe_overlap import TOO_LITTLE, WANTED, Overlap
from ptychopinn_plugin.scan.saturation import LEAST_COUNT, LEAST_VALUES

FEW_PHOTONS = 1_000.0
NO_PHOTONS = 30.0
LOW_CORRELATION = 0.5
SHOWN_REGIONS = 3
# With so much of it masked, a probe that was refined was wrong (a simulated scan, 98 % masked).
HIDDEN_LIGHT = 0.9
# A scan covers most of its bounding box, a ring or a diagonal line less.
LOW_COVERAGE = 0.1
# The reason of frames that are taken for amplitudes where neither file nor values decide.
UNDECIDED = 'nothing in the file says otherwise'
# Axis of the stack along which an `fftshift` brings the zero frequency to the middle.
EDGE_AXES = {'top edge': 1, 'left edge': 2}
# PtychoPINN divides its frames to a mean power of (N/2)^2, in float32.
NORMALISATION_TOLERANCE = 1e-3


def warnings(report: PreflightReport) -> list[str]:
    """Return one sentence for each figure that makes a reconstruction wrong or incomplete."""
    return [
        *_light_warnings(report),
        *_frame_warnings(report),
        *_pixel_warnings(report),
        *_position_warnings(report),
    ]


def notes(report: PreflightReport) -> list[str]:
    """Return one sentence for each figure that is unusual, but need not do harm."""
    return [*_scan_notes(report), *_probe_notes(report)]


def _light_warnings(report: PreflightReport) -> list[str]:
    found = []
    if report.zero_frequency == 'corner':
        found.append(
            'the photons lie in the corners of the frames, not in the middle: read them with '
            "load_scan(dc='corner')"
        )
    elif report.zero_frequency in EDGE_AXES:
        found.append(
            f'the photons lie in the middle of the {report.zero_frequency} of the frames: shift '
            f'them by half a frame along axis {EDGE_AXES[report.zero_frequency]} of the stack, '
            'with numpy.fft.fftshift'
        )
    mean = report.photons_per_frame.mean
    power = (report.frame_size / 2) ** 2
    if not report.whole_counts and abs(mean / power - 1) < NORMALISATION_TOLERANCE:
        found.append(
            f'{mean:.5g} photons a frame, (N/2)^2, and no whole numbers: frames that PtychoPINN '
            'has normalised, so their noise is not known; give the true number with '
            'load_scan(photons=...)'
        )
    elif not report.whole_counts and mean < NO_PHOTONS:
        found.append(
            f'{mean:.3g} photons a frame look like normalised frames: give the true number with '
            'load_scan(photons=...)'
        )
    row, column = report.beam_offset_px
    if (row or column) and report.zero_frequency == 'center':
        found.append(
            f'the light of the frames lies {row:+d} rows and {column:+d} columns from that of the '
            'probe: cut the frames so that the beam is at pixel N//2, for files of instruments '
            'with load_scan(beam_center=...)'
        )
    decisions = ' '.join(report.decisions)
    if UNDECIDED in decisions and RESCALED in decisions:
        found.append(
            'the frames were taken for amplitudes, and the photons of the probe are far from those '
            "of their squares: if they are intensities, read them with load_scan(domain='counts')"
        )
    return found


def _frame_warnings(report: PreflightReport) -> list[str]:
    found = []
    if report.empty_frames:
        found.append(f'{report.empty_frames} frames hold no photon: was the shutter closed?')
    if report.repeated_frames:
        found.append(
            f'{counted(len(report.repeated_frames), "frame")} of other positions with the values '
            f'of an earlier frame, to the last photon: {list_numbers(report.repeated_frames)}; '
            'leave them out if the detector or its file stalled'
        )
    if report.unlike_frames:
        found.append(
            f'{len(report.unlike_frames)} frames are more than five times brighter or darker than '
            f'those around them: {list_numbers(report.unlike_frames)}; leave them out if shutter '
            'or beam failed'
        )
    if report.photon_step:
        frame, ratio = report.photon_step
        found.append(
            f'the photons {"fall" if ratio < 1 else "rise"} to {ratio:.0%} of those of '
            f'neighbouring frames from frame {frame} on: if the beam changed there, estimate it '
            'with update_flux = true, as auto = true does'
        )
    return found


def _pixel_warnings(report: PreflightReport) -> list[str]:
    found = []
    if report.hot_pixels:
        shown = ', '.join(str(pixel) for pixel in report.hot_pixels[:5])
        more = ', ...' if len(report.hot_pixels) > 5 else ''
        found.append(
            f'{len(report.hot_pixels)} pixels are far brighter than those around them '
            f'({shown}{more}): mask them with load_scan(mask=...) if they are hot'
        )
    if report.dark_regions:
        shown = '; '.join(report.dark_regions[:SHOWN_REGIONS])
        more = '; ...' if len(report.dark_regions) > SHOWN_REGIONS else ''
        found.append(
            f'pixels without light between bright ones: {shown}{more}: mask them with '
            'load_scan(mask=...)'
        )
    if report.masked_light > HIDDEN_LIGHT:
        found.append(
            f'the mask hides {report.masked_light:.1%} of the light of the probe, so the frames '
            'hardly determine the probe and the mean of the object: if the probe is known, keep it '
            'with update_probe = off'
        )
    if report.pixels_at_peak >= LEAST_VALUES and report.peak_count > LEAST_COUNT:
        found.append(
            f'{report.pixels_at_peak} pixels hold the highest count, {report.peak_count:.0f}: mask '
            'them with load_scan(mask=...) if the detector was saturated'
        )
    return found


def _position_warnings(report: PreflightReport) -> list[str]:
    found = []
    if max(report.scan_extent_px) < 2:
        found.append(
            f'the positions span only {max(report.scan_extent_px):.3g} pixels: they must be in '
            'object pixels, not in metres'
        )
    elif report.overlap < TOO_LITTLE and not report.probe_is_unknown:
        found.append(_overlap(report))
    if report.far_frames:
        found.append(
            f'{len(report.far_frames)} frames lie far from all others: '
            f'{list_numbers(report.far_frames)}; leave them out if their positions are wrong'
        )
    if report.filled_share < LOW_COVERAGE:
        height, width = report.scan_extent_px
        found.append(
            f'the probe reaches only {report.filled_share:.1%} of the {height:.0f} x {width:.0f} '
            'px that the positions span: look for wrong positions'
        )
    return found


def _overlap(report: PreflightReport) -> str:
    return Overlap(report.neighbour_step_px, report.probe_diameter_px).sentence()


def _scan_notes(report: PreflightReport) -> list[str]:
    found = []
    mean = report.photons_per_frame.mean
    if mean < FEW_PHOTONS and (report.whole_counts or mean >= NO_PHOTONS):
        found.append(f'{mean:.3g} photons a frame are few: expect noise, and try a trained model')
    overlaps_little = TOO_LITTLE <= report.overlap < WANTED and not report.probe_is_unknown
    if max(report.scan_extent_px) >= 2 and overlaps_little:
        found.append(_overlap(report))
    if report.duplicate_positions:
        found.append(
            f'{report.duplicate_positions} frames share their position with another: fine for '
            'repeated exposures, wrong for a stalled stage'
        )
    if report.canvas_origin_px != (0, 0):
        found.append(
            f'positions lie outside the object canvas: it starts at pixel {report.canvas_origin_px}'
        )
    return found


def _probe_notes(report: PreflightReport) -> list[str]:
    found = []
    # Frames that are shifted, or show scattered light only, do not look like the probe's.
    is_shifted = report.zero_frequency in ('corner', *EDGE_AXES)
    is_hidden = report.masked_light > HIDDEN_LIGHT
    if not (is_shifted or is_hidden) and report.probe_correlation < LOW_CORRELATION:
        found.append(
            f'the starting probe explains the mean frame badly (correlation '
            f'{report.probe_correlation:.2f}): check it, or refine it with update_probe = on'
        )
    if report.probe_diameter_px > 0.9 * report.frame_size:
        found.append(
            f'the probe fills its array ({report.probe_diameter_px:.0f} of {report.frame_size} '
            'px): its edges may wrap around'
        )
    return found
