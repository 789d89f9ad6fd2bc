"""A figure of a reconstruction: object, probe, coverage, residual and errors."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.errors import printable
from ptychopinn_plugin.plotting.new_figure import new_figure, save_figure
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.network_change import change_in_deviations

SUFFIXES = ('.png', '.pdf', '.svg', '.jpg')
WARNING_WIDTH = 100  # characters of a line above the picture


def picture(
    reconstruction: Reconstruction,
    path: str | Path,
    *,
    title: str = '',
) -> None:
    """Draw object amplitude and phase, probe, coverage and residual curve into one file.

    Where resolution and errors were estimated, they follow in a row of their own, with what a
    network changed.

    Args:
        reconstruction: computed or read from a file; a scale bar is drawn where its pixel size is
            known.
        path: the picture, ending in .png, .pdf, .svg or .jpg.
        title: the first line of the heading.

    Raises:
        OutputError: the file cannot be written there.
    """
    from ptychopinn_plugin.plotting import panels
    from ptychopinn_plugin.plotting.display import object_view

    path = Path(path)
    check_output(path, SUFFIXES)
    view = object_view(reconstruction)
    quality = reconstruction.quality
    heights = (1.5, 1) if quality is None else (1.5, 1, 1)
    figure = new_figure(11, 3.6 * sum(heights))
    rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    left, right = rows[0].subplots(1, 2)
    panels.draw_amplitude(left, view)
    panels.draw_phase(right, view)
    if reconstruction.pixel_size_m is not None:
        panels.draw_scale_bar(left, reconstruction.pixel_size_m[1])
    first, second, third = rows[1].subplots(1, 3)
    panels.draw_probe(first, reconstruction)
    panels.draw_coverage(second, reconstruction)
    panels.draw_residual(third, reconstruction)
    if quality is not None:
        deviations = change_in_deviations(reconstruction)
        first, second, third, *others = rows[2].subplots(1, 3 if deviations is None else 4)
        if deviations is not None:
            panels.draw_network_change(others[0], deviations, view)
        panels.draw_error(first, quality.amplitude_error, view)
        first.set_title('amplitude error\nby photon noise', fontsize='medium')
        panels.draw_error(second, quality.phase_error, view, 'rad')
        second.set_title('phase error\nby photon noise', fontsize='medium')
        panels.draw_ring_correlation(third, quality)
    warning = f'Probably wrong: {reconstruction.warning}' if reconstruction.warning else ''
    lines = (title, heading(reconstruction), *textwrap.wrap(warning, WARNING_WIDTH))
    colour = 'darkred' if warning else None
    # File names and warnings may hold dollars, which would begin a formula.
    text = printable('\n'.join(filter(None, lines)))
    figure.suptitle(text, color=colour, parse_math=False)
    with replacing(path) as file:
        save_figure(figure, file, path.suffix[1:].lower(), 120)


def heading(reconstruction: Reconstruction) -> str:
    """Return backend, time, size and residual of a reconstruction as one line."""
    rows, columns = reconstruction.object_canvas.shape
    parts = [f'{rows} x {columns} px']
    if reconstruction.backend:  # not known of products that other programs made
        name = backend_display_name(reconstruction.backend)
        parts = [name, f'{reconstruction.seconds:.1f} s', *parts]
    if reconstruction.pixel_size_m is not None:
        parts.append(f'{reconstruction.pixel_size_m[1] * 1e9:.3g} nm a pixel')
    if reconstruction.residual.size and reconstruction.residual_name:
        parts.append(f'residual {reconstruction.residual[-1]:.3g}')
    return '  ·  '.join(parts)
