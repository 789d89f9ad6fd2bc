"""A report is one file that refers to nothing outside of it, whatever its texts contain."""

from __future__ import annotations

import base64
import dataclasses
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.plotting import report_figures, save_report
from ptychopinn_plugin.scan import Estimates, Reconstruction
from tests.io.result_examples import known_quality, known_reconstruction

# Attributes that make a browser load something.
LOADING = ('src', 'href', 'srcset', 'data', 'action', 'poster', 'background', 'style')
ALLOWED = {
    *('html', 'head', 'meta', 'title', 'style', 'body', 'h1', 'h2', 'p', 'ul', 'li', 'pre'),
    *('figure', 'img', 'figcaption', 'table', 'tr', 'th', 'td'),
}
VOID = ('meta', 'img')


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        tags: of its elements, each with its attributes.
        texts: the text of each element, by tag.
        is_closed: whether each element was closed in its place.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(path.read_text(encoding='utf-8'))
        self.is_closed = not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self._open[-1], []).append(data)

    @property
    def pictures(self) -> list[np.ndarray]:
        sources = [str(attributes['src']) for tag, attributes in self.tags if tag == 'img']
        head = 'data:image/png;base64,'
        assert all(source.startswith(head) for source in sources)
        return [imread(io.BytesIO(base64.b64decode(source[len(head) :]))) for source in sources]


def complete() -> Reconstruction:
    """Return a reconstruction with all that a report can show."""
    _, made = known_reconstruction(modes=2)
    moved = made.positions_px + np.random.default_rng(0).normal(size=made.positions_px.shape)
    full: Reconstruction = dataclasses.replace(
        made,
        pixel_size_m=(1e-8, 1e-8),
        quality=known_quality(made.object_canvas.shape),
        estimates=Estimates(nominal_positions_px=moved),
        remarks=('the flux varies by 5.1%',),
        warning='half of the differences are left',
        probe_refined=True,
        settings=settings_lines(InferenceConfig(refine_iterations=5)),
        version='0.0.9',
    )
    return full


def test_a_report_states_the_resolution_once(tmp_path: Path) -> None:
    made = complete()
    assert made.quality is not None
    summary = made.quality.summary(made.pixel_size_m)
    save_report(dataclasses.replace(made, remarks=(summary,)), tmp_path / 'report.html')
    assert (tmp_path / 'report.html').read_text().count('half-bit criterion)') == 1


def test_a_report_shows_everything_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    save_report(complete(), tmp_path / 'report.html', title='object.h5', comments='epochs = 3')
    page = Page(tmp_path / 'report.html')
    assert page.is_closed
    assert {tag for tag, _ in page.tags} == ALLOWED
    for tag, attributes in page.tags:
        for name in LOADING:
            assert tag == 'img' or name not in attributes
        assert not any(name.startswith('on') for name in attributes)
    (style,) = page.texts['style']
    assert 'url(' not in style
    assert '@import' not in style
    (policy,) = [a['content'] for _, a in page.tags if a.get('http-equiv')]
    assert str(policy).startswith("default-src 'none'; img-src data:;")
    assert len(page.pictures) == len(page.texts['figcaption']) == 6
    assert all(picture.std() > 0.01 for picture in page.pictures)
    text = '\n'.join(part for parts in page.texts.values() for part in parts)
    assert 'object_prior = true' in text
    for words in ('object.h5', '5.1%', 'Probably wrong: half', 'resolved to', 'epochs = 3'):
        assert words in text
    assert '2 network, 2 solver' in page.texts['td']
    assert 'ptychopinn-plugin 0.0.9' in page.texts['td']
    assert 'refine_iterations = 5' in page.texts['p']
    for words in ('PyTorch in 1.5 s', '2 modes, refined', f'ptychopinn-plugin {__version__}'):
        assert any(words in cell for cell in page.texts['td'])
    assert list(tmp_path.iterdir()) == [tmp_path / 'report.html']


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    _, made = known_reconstruction()
    made = dataclasses.replace(made, backend='', residual_name='', pixel_size_m=None, losses=())
    save_report(made, tmp_path / 'report.html')
    page = Page(tmp_path / 'report.html')
    assert len(page.pictures) == 3
    assert 'pre' not in page.texts
    assert page.texts['h2'] == ['Facts']
    assert 'computed by' not in page.texts['th']
    assert 'not known' in page.texts['td']


HOSTILE = ' '.join(
    (
        '<script>alert(1)</script>',
        '"><img src=x onerror=alert(1)>',
        '</style></title></pre><b>',
        '&lt;b&gt; & $x$ \x1b[31m \u202e',
        '<!-- ',
    )
)


def test_texts_of_a_file_are_shown_and_not_run(tmp_path: Path) -> None:
    _, made = known_reconstruction()
    texts = {'warning': HOSTILE, 'model_name': HOSTILE, 'residual_name': HOSTILE}
    made = dataclasses.replace(made, **texts, remarks=(HOSTILE,), stages=(HOSTILE,) * 4)
    made = dataclasses.replace(made, settings=(HOSTILE,), version=HOSTILE)
    save_report(made, tmp_path / 'report.html', title=HOSTILE, comments=HOSTILE)
    page = Page(tmp_path / 'report.html')
    assert page.is_closed
    assert {tag for tag, _ in page.tags} == ALLOWED
    shown = HOSTILE.replace('\x1b', r'\x1b').replace('\u202e', r'\u202e')
    for tag, number in {'h1': 1, 'title': 1, 'li': 1, 'pre': 2, 'td': 12}.items():
        assert shown in page.texts[tag]
        assert sum(name == tag for name, _ in page.tags) == number
    assert f'Probably wrong: {shown}' in page.texts['p']


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match='html'):
        save_report(complete(), tmp_path / 'report.pdf')
    assert not list(tmp_path.iterdir())


def test_each_mode_of_the_probe_is_drawn_with_its_share() -> None:
    figure = report_figures.probe_figure(complete())
    shares = [float(axes.get_title().rstrip('%')) for axes in figure.axes]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert shares == sorted(shares, reverse=True)


def test_positions_are_drawn_where_they_are_with_the_size_of_their_changes() -> None:
    made = complete()
    nominal = made.estimates.nominal_positions_px
    assert nominal is not None
    left, right = report_figures.positions_figure(made, nominal).axes
    for line, positions in zip(left.lines, (nominal, made.positions_px), strict=True):
        assert np.asarray(line.get_xdata()).tolist() == positions[:, 1].tolist()
        assert np.asarray(line.get_ydata()).tolist() == positions[:, 0].tolist()
    assert '1.' in right.get_title()  # two axes of a pixel each: 1.4 px


def test_the_losses_of_the_network_are_drawn_also_below_zero() -> None:
    made = complete()
    for losses, scale in (((2.0, 1.0), 'log'), ((2.0, -1.0), 'linear')):
        (axes,) = report_figures.losses_figure(dataclasses.replace(made, losses=losses)).axes
        assert np.asarray(axes.lines[0].get_xdata()).tolist() == [1, 2]
        assert np.asarray(axes.lines[0].get_ydata()).tolist() == list(losses)
        assert axes.get_yscale() == scale
