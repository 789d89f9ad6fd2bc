"""`ptychopinn check`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ptychopinn_plugin.cli.console import echo, echo_json
from ptychopinn_plugin.cli.options import Check
from ptychopinn_plugin.cli.paths import check_distinct, check_writable
from ptychopinn_plugin.cli.scan_loading import files_beside, load
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.config.flag_names import with_flags
from ptychopinn_plugin.io.formats import scan_files
from ptychopinn_plugin.io.mask_file import ENDINGS, save_mask
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.scan.bad_pixels import find_bad_pixels
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.scan.preflight_report import PreflightReport
from ptychopinn_plugin.scan.statistics import frame_statistics
from ptychopinn_plugin.solver.trials.defocus_trials import focus_hint
from ptychopinn_plugin.solver.trials.orientation_trials import (
    orientation_hints,
    orientation_residuals,
)
from ptychopinn_plugin.solver.trials.probe_start import with_probe_of_frames
from ptychopinn_plugin.solver.trials.proposed_settings import proposed_settings
from ptychopinn_plugin.solver.trials.rotation_trials import rotation_hint


def run(flags: Check) -> None:
    """Print what a scan holds and what to look at."""
    _check_files(flags)
    orientation = flags.extract(OrientationConfig)
    as_in_file = load(flags.scan, flags, OrientationConfig(), needs_probe=False)
    has_given_probe = not as_in_file.metadata.probe_is_unknown
    if not has_given_probe:
        as_in_file = with_probe_of_frames(NumpyOps(), as_in_file)
    residuals = orientation_residuals(as_in_file) if flags.trials else {}
    hints = orientation_hints(residuals, orientation) if residuals else ()
    scan = orient(as_in_file, orientation)
    focus: tuple[str, ...] = ()
    # In a wrong orientation no angle and no focus is right.
    if residuals and orientation == next(iter(residuals)):
        hints += rotation_hint(as_in_file, orientation, residuals[orientation])
        focus = focus_hint(scan) if has_given_probe else ()
    # What was estimated from the frames alone is a start, which says little of the overlap.
    known = dataclasses.replace(scan.metadata, probe_is_unknown=not has_given_probe)
    report = preflight(dataclasses.replace(scan, metadata=known), hints)
    proposed = proposed_settings(as_in_file, report)
    report = report.model_copy(update={'proposed_settings': proposed, 'focus_hints': focus})
    if flags.write_mask is not None:
        _write_mask(flags.write_mask, as_in_file)
    if flags.as_json:
        echo_json(report.model_dump_json(indent=2))
        return
    for line in report_lines(report):
        echo(line)
    if flags.write_mask is not None:
        echo(f'{"mask:":<16}{flags.write_mask}')
    elif report.hot_pixels or report.dark_regions:
        echo(f'{"mask:":<16}--write-mask FILE writes one with these pixels, for --mask')


def _write_mask(path: Path, scan: ScanData) -> None:
    """Write the mask of a scan with the bad pixels that were found."""
    found = find_bad_pixels(scan, frame_statistics(scan).mean_frame)
    save_mask(path, scan.mask | found.hot | found.dark)


def _check_files(flags: Check) -> None:
    """Refuse a name of the mask that will not do, before anything is read."""
    if flags.write_mask is not None:
        check_writable(flags.write_mask, ENDINGS)
        inputs = [flags.scan, *files_beside(flags.scan, flags)]
        check_distinct([flags.write_mask], [*inputs, *scan_files(flags.scan, flags.product)])


def report_lines(report: PreflightReport) -> list[str]:
    """Return a report as lines for people."""
    photons, size = report.photons_per_frame, report.frame_size
    height, width = report.scan_extent_px
    rows = [
        ('scan', report.source),
        ('frames', f'{report.frames} of {size} x {size}, {report.frames_megabytes:.0f} MB'),
        (
            'photons',
            f'{photons.mean:.4g} a frame (median {photons.median:.4g}, '
            f'{photons.minimum:.4g} to {photons.maximum:.4g}), highest pixel {report.peak_count:g}',
        ),
        ('zero frequency', report.zero_frequency),
        (
            'bad pixels',
            f'{report.masked_fraction:.2%} masked, with {report.masked_light:.2%} of the light of '
            f'the probe; {len(report.hot_pixels)} look hot',
        ),
        (
            'positions',
            f'{height:.1f} x {width:.1f} px, step {report.neighbour_step_px:.2f} px, '
            f'object canvas {report.canvas_shape[0]} x {report.canvas_shape[1]} px, '
            f'{report.covered_share:.0%} of it under the probe',
        ),
        (
            'overlap',
            f'{report.overlap:.0%} of the probe diameter {report.probe_diameter_px:.1f} px',
        ),
        (
            'probe',
            f'{report.modes} mode{"s" * (report.modes != 1)}, {report.probe_photons:.4g} photons; '
            f'frames hold {report.photon_ratio:.3g} times as many, '
            f'correlation {report.probe_correlation:.2f}',
        ),
        ('instrument', _instrument(report)),
    ]
    lines = [f'{name + ":":<16}{value}' for name, value in rows]
    lines += [f'{"read as:":<16}{decision}' for decision in report.decisions]
    said = {
        'orientation:': report.orientation_hints,
        'focus:': report.focus_hints,
        'with auto:': report.proposed_settings,
        'look at:': report.recommendations,
    }
    lines += [f'{name:<16}{with_flags(text)}' for name, texts in said.items() for text in texts]
    return lines if report.recommendations else [*lines, 'nothing to remark']


def _instrument(report: PreflightReport) -> str:
    parts = []
    if report.pixel_size_m is not None:
        parts.append(f'object pixel {report.pixel_size_m[1] * 1e9:.4g} nm')
    if report.photon_energy_ev is not None:
        parts.append(f'{report.photon_energy_ev:g} eV')
    if report.detector_distance_m is not None:
        parts.append(f'detector at {report.detector_distance_m:g} m')
    return ', '.join(parts) or 'not known'
