"""A report of a reconstruction: one HTML file that opens without a network."""

from __future__ import annotations

import base64
import html
import io
import platform
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ptychopinn_plugin import __version__
from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.config.used_settings import changed_settings
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.errors import printable
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.plotting.new_figure import save_figure
from ptychopinn_plugin.scan import Reconstruction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = ('.html', '.htm')
DPI = 110
# The page may load nothing: pictures are in it, and whatever a text contains is not run.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0; }
figure img { width: 100%; height: auto; background: white; }
figcaption { color: GrayText; }
.warning { border-left: .4rem solid #b3261e; padding: .5rem 1rem; font-weight: 600; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: 600; padding: .2rem 2rem .2rem 0; vertical-align: top; }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def save_report(
    reconstruction: Reconstruction, path: str | Path, *, title: str = '', comments: str = ''
) -> None:
    """Write a report: object, probe, residual, quality, positions, losses, settings, versions.

    The pictures are part of the file, which refers to nothing outside of it.

    Args:
        reconstruction: computed or read from a file.
        path: the report, ending in .html or .htm.
        title: the heading, such as the name of the result.
        comments: how the result was made, such as the comments of a product, with the settings.

    Raises:
        OutputError: the file cannot be written there.
    """
    path = Path(path)
    check_output(path, SUFFIXES)
    page = _page(reconstruction, title or 'Reconstruction', comments)
    with replacing(path) as file:
        file.write(page.encode('utf-8'))


def _page(reconstruction: Reconstruction, title: str, comments: str) -> str:
    """Return the whole page."""
    parts = [
        _element('h1', title),
        _element('p', heading(reconstruction)),
        *_sentences(reconstruction),
        *_figures(reconstruction),
        _element('h2', 'Facts'),
        _table(_facts(reconstruction)),
        *_settings(reconstruction),
    ]
    if comments:
        parts += [_element('h2', 'How it was made'), _element('pre', comments)]
    body = '\n'.join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'{_element("title", title)}\n<style>{STYLE}</style>\n</head>\n'
        f'<body>\n{body}\n</body>\n</html>\n'
    )


def _sentences(reconstruction: Reconstruction) -> Iterator[str]:
    """Yield warning, quality and remarks."""
    if reconstruction.warning:
        text = f'Probably wrong: {reconstruction.warning}'
        yield f'<p class="warning">{_text(text)}</p>'
    said = list(reconstruction.remarks)
    if reconstruction.quality is not None:
        summary = reconstruction.quality.summary(reconstruction.pixel_size_m)
        # A result of a reconstruction has it among its remarks.
        said = [summary, *(remark for remark in said if remark != summary)]
    if said:
        yield '<ul>' + ''.join(_element('li', remark) for remark in said) + '</ul>'


def _figures(reconstruction: Reconstruction) -> Iterator[str]:
    """Yield the pictures, each with its caption."""
    from ptychopinn_plugin.plotting import report_figures as draw

    yield _figure(
        'Object: amplitude and phase, mean and ramp removed.', draw.object_figure(reconstruction)
    )
    modes = counted(len(reconstruction.probe), 'mode')
    yield _figure(
        f'Probe, {modes}: hue is the phase, brightness the amplitude of each mode, and the share '
        'of the power.',
        draw.probe_figure(reconstruction),
    )
    yield _figure(
        'Residual of each step, and how much light each object pixel got.',
        draw.progress_figure(reconstruction),
    )
    if reconstruction.quality is not None:
        yield _figure(
            'Errors of the object by photon noise, and the Fourier ring correlation of two '
            'reconstructions of half the photons each.',
            draw.quality_figure(reconstruction, reconstruction.quality),
        )
    if reconstruction.estimates.nominal_positions_px is not None:
        yield _figure(
            'Positions before and after their refinement, object pixels, and the changes alone.',
            draw.positions_figure(reconstruction, reconstruction.estimates.nominal_positions_px),
        )
    if len(reconstruction.losses) > 1:
        yield _figure(
            'Loss of the network that was given, after each epoch of its training.',
            draw.losses_figure(reconstruction),
        )


def _facts(reconstruction: Reconstruction) -> Iterator[tuple[str, str]]:
    """Yield what is known of how the object was computed."""
    rows, columns = reconstruction.object_canvas.shape
    yield 'object', f'{rows} x {columns} px'
    pixel = reconstruction.pixel_size_m
    yield 'object pixel', f'{pixel[1] * 1e9:.4g} nm' if pixel else 'not known'
    yield 'frames', f'{len(reconstruction.positions_px)}'
    yield 'frame', ' x '.join(map(str, reconstruction.probe.shape[1:])) + ' px'
    modes = len(reconstruction.probe)
    yield 'probe', f'{counted(modes, "mode")}, {_yes(reconstruction.probe_refined, "refined")}'
    estimated = ', '.join(reconstruction.estimates.arrays()) or 'nothing'
    yield 'estimated besides', estimated
    stages = Counter(reconstruction.stages)
    yield 'steps', ', '.join(f'{count} {stage}' for stage, count in stages.items()) or 'not known'
    if reconstruction.residual.size:
        yield 'last residual', f'{reconstruction.residual[-1]:.4g}'
    if reconstruction.backend:
        name = backend_display_name(reconstruction.backend)
        yield 'computed by', f'{name} in {reconstruction.seconds:.1f} s'
    yield 'model', reconstruction.model_name or 'none, physics alone'
    if reconstruction.version:
        yield 'version', f'ptychopinn-plugin {reconstruction.version}'
    yield 'report by', f'ptychopinn-plugin {__version__}, Python {platform.python_version()}'


def _settings(reconstruction: Reconstruction) -> Iterator[str]:
    """Yield the settings that were changed, and all of them as a settings file has them."""
    if reconstruction.settings:
        yield _element('h2', 'Settings')
        yield _element('p', changed_settings(reconstruction.settings))
        yield _element('pre', '\n'.join(reconstruction.settings))


def _figure(caption: str, figure: Figure) -> str:
    """Return a figure as a picture inside the page."""
    buffer = io.BytesIO()
    save_figure(figure, buffer, 'png', DPI)
    data = base64.b64encode(buffer.getvalue()).decode('ascii')
    image = f'<img alt="{_text(caption)}" src="data:image/png;base64,{data}">'
    return f'<figure>{image}{_element("figcaption", caption)}</figure>'


def _table(rows: Iterator[tuple[str, str]]) -> str:
    cells = (f'<tr>{_element("th", name)}{_element("td", value)}</tr>' for name, value in rows)
    return f'<table>{"".join(cells)}</table>'


def _element(tag: str, text: str) -> str:
    return f'<{tag}>{_text(text)}</{tag}>'


def _text(text: str) -> str:
    """Return a text that is shown as it is, whatever a file has put into it."""
    return html.escape(printable(text), quote=True)


def _yes(value: bool, word: str) -> str:
    return word if value else f'not {word}'
