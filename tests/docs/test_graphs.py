"""Graphs of the pages are drawn when the site is built: boxes apart, arrows downwards."""

from __future__ import annotations

import re
import runpy
from itertools import combinations
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / 'docs'
DRAW = runpy.run_path(str(DOCS / 'draw_graphs.py'))
PAGE = (DOCS / 'architecture.md').read_text()
BOX = re.compile(r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"')


def test_the_graph_of_the_rooms_is_drawn() -> None:
    arrows = DRAW['arrows_of'](DRAW['BLOCK'].search(PAGE)['lines'])
    page = DRAW['on_page_markdown'](PAGE)
    assert '```mermaid' not in page
    assert page.count('marker-end') == len(arrows) > 20
    names = {name for arrow in arrows for name in arrow}
    assert set(re.findall(r'>(\w+)</text>', page)) == names
    boxes = [tuple(map(float, found)) for found in BOX.findall(page)]
    assert len(boxes) == len(names)
    for (x, y, width, height), (a, b, wide, high) in combinations(boxes, 2):
        assert x + width <= a or a + wide <= x or y + height <= b or b + high <= y
    left, _, width, _ = map(float, re.findall(r'viewBox="([^"]+)" font', page)[0].split())
    assert all(left <= x and x + wide <= left + width for x, _, wide, _ in boxes)
    rows = DRAW['rows_of'](arrows)
    assert all(rows[start] < rows[end] for start, end in arrows)


def test_a_long_arrow_passes_beside_the_boxes() -> None:
    arrows = [('a', 'b'), ('b', 'c'), ('a', 'c')]
    places = DRAW['places_of'](arrows, DRAW['rows_of'](arrows))
    apart = abs(places['b'] - places['a', 'c', 1])
    assert apart > (DRAW['width_of']('b') + DRAW['EDGE_PX']) / 2


@pytest.mark.parametrize(
    ('lines', 'said'), [('a --> b\nb --> a', 'circle'), ('a -.-> b', 'is no arrow')]
)
def test_what_cannot_be_drawn_is_an_error(lines: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DRAW['drawn'](DRAW['arrows_of'](lines))
