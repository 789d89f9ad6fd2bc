"""One picture of a reconstruction."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.result import Result

SUFFIXES = ('.png', '.pdf', '.svg', '.jpg')
_BACKEND_NAMES = {'pytorch': 'PyTorch', 'tensorflow': 'TensorFlow'}


def picture(
    result: Reconstruction | Result,
    path: str | Path,
    *,
    title: str = '',
    pixel_size_m: tuple[float, float] | None = None,
) -> None:
    """Draw object amplitude and phase, probe, coverage and residual curve into one file.

    Args:
        result: a reconstruction, or a result that was read from a file.
        path: the picture, ending in .png, .pdf, .svg or .jpg.
        title: the first line of the heading.
        pixel_size_m: (height, width) of an object pixel, metres, for the scale bar; a `Result`
            knows its own.

    Raises:
        OutputError: the file cannot be written there.
    """
    # Not pyplot, which keeps every figure and a backend in global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ptychopinn_plugin.plotting import panels
    from ptychopinn_plugin.plotting.display import object_view

    path = Path(path)
    check_output(path, SUFFIXES)
    if isinstance(result, Result):
        pixel_size_m = pixel_size_m or result.pixel_size_m
        result = result.reconstruction
    view = object_view(result)
    figure = Figure(figsize=(11, 9), layout='constrained')
    FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1), squeeze=False)[:, 0]
    left, right = top.subplots(1, 2)
    panels.draw_amplitude(left, view)
    panels.draw_phase(right, view)
    if pixel_size_m is not None:
        panels.draw_scale_bar(left, pixel_size_m[1])
    first, second, third = bottom.subplots(1, 3)
    panels.draw_probe(first, result)
    panels.draw_coverage(second, result)
    panels.draw_residual(third, result)
    figure.suptitle('\n'.join(filter(None, (title, heading(result, pixel_size_m)))))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def heading(reconstruction: Reconstruction, pixel_size_m: tuple[float, float] | None = None) -> str:
    """Return who computed an object, in what time, and how large it is."""
    rows, columns = reconstruction.object_canvas.shape
    parts = [f'{rows} x {columns} px']
    if reconstruction.backend:  # not known of products that other programs made
        name = _BACKEND_NAMES.get(reconstruction.backend, reconstruction.backend)
        parts = [name, f'{reconstruction.seconds:.1f} s', *parts]
    if pixel_size_m is not None:
        parts.append(f'{pixel_size_m[1] * 1e9:.3g} nm a pixel')
    if reconstruction.residual.size and reconstruction.stages[-1] in ('network', 'solver'):
        parts.append(f'residual {reconstruction.residual[-1]:.3g}')
    return '  ·  '.join(parts)
