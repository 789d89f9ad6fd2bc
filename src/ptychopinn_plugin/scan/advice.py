"""Recommendations from the figures of a preflight."""

from __future__ import annotations

from ptychopinn_plugin.scan.preflight_report import PreflightReport

FEW_PHOTONS = 1_000.0
NO_PHOTONS = 30.0
SATURATED_PIXELS = 20
# Below about 60 % the reconstruction is no longer well determined (Bunk et al. 2008).
LOW_OVERLAP = 0.6
LOW_CORRELATION = 0.5


def advise(report: PreflightReport) -> list[str]:
    """Return one sentence for each figure that is out of the usual range."""
    return [*_frame_advice(report), *_scan_advice(report), *_probe_advice(report)]


def _frame_advice(report: PreflightReport) -> list[str]:
    advice = []
    if report.zero_frequency == 'corner':
        advice.append(
            'the photons lie in the corners of the frames, not in the middle: read them with '
            '--dc corner'
        )
    mean = report.photons_per_frame.mean
    if mean < NO_PHOTONS:
        advice.append(
            f'{mean:.3g} photons a frame look like normalised frames: give the true number with '
            '--photons'
        )
    elif mean < FEW_PHOTONS:
        advice.append(f'{mean:.3g} photons a frame are few: expect noise, and try a trained model')
    if report.empty_frames:
        advice.append(f'{report.empty_frames} frames hold no photon: was the shutter closed?')
    if report.hot_pixels:
        shown = ', '.join(str(pixel) for pixel in report.hot_pixels[:5])
        more = ', ...' if len(report.hot_pixels) > 5 else ''
        advice.append(
            f'{len(report.hot_pixels)} pixels are far brighter than those around them '
            f'({shown}{more}): mask them with bad_pixels if they are hot'
        )
    if report.pixels_at_peak >= SATURATED_PIXELS and report.peak_count > 100:
        advice.append(
            f'{report.pixels_at_peak} pixels hold the highest count, {report.peak_count:.0f}: mask '
            'them with bad_pixels if the detector was saturated'
        )
    return advice


def _scan_advice(report: PreflightReport) -> list[str]:
    advice = []
    if max(report.scan_extent_px) < 2:
        advice.append(
            f'the positions span only {max(report.scan_extent_px):.3g} pixels: they must be in '
            'object pixels, not in metres'
        )
    elif report.overlap < LOW_OVERLAP:
        advice.append(
            f'neighbouring probes overlap by {max(0.0, report.overlap):.0%} (step '
            f'{report.neighbour_step_px:.1f} px, probe {report.probe_diameter_px:.1f} px); above '
            f'{LOW_OVERLAP:.0%} a scan reconstructs far better'
        )
    if report.duplicate_positions:
        advice.append(
            f'{report.duplicate_positions} frames share their position with another: fine for '
            'repeated exposures, wrong for a stalled stage'
        )
    if report.canvas_origin_px != (0, 0):
        advice.append(
            f'positions lie outside the object canvas: it starts at pixel {report.canvas_origin_px}'
        )
    return advice


def _probe_advice(report: PreflightReport) -> list[str]:
    advice = []
    if report.zero_frequency != 'corner' and report.probe_correlation < LOW_CORRELATION:
        advice.append(
            f'the starting probe explains the mean frame badly (correlation '
            f'{report.probe_correlation:.2f}): check it, or refine it with --update-probe'
        )
    if report.probe_diameter_px > 0.9 * report.frame_size:
        advice.append(
            f'the probe fills its array ({report.probe_diameter_px:.0f} of {report.frame_size} '
            'px): its edges may wrap around'
        )
    return advice
