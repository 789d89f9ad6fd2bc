"""A hook of MkDocs: drawings of graphs as pictures inside the page.

A block `mermaid` with lines `a --> b` is drawn while the site is built, from top to bottom; no
script and no network are needed where it is read.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from itertools import pairwise

BLOCK = re.compile(r'^```mermaid\ngraph TD\n(?P<lines>.*?)^```$', re.DOTALL | re.MULTILINE)
ARROW = re.compile(r'\s*(\w+) --> (\w+)\s*')
# A point of an edge on a row that it crosses, by the edge and the row.
Point = str | tuple[str, str, int]
CHARACTER_PX, PADDING_PX, HEIGHT_PX, ROW_PX, GAP_PX, EDGE_PX = 8.0, 24.0, 30.0, 72.0, 18.0, 6.0
SWEEPS = 24


def on_page_markdown(text: str, **_: object) -> str:
    """Return a page with its graphs drawn; called by MkDocs for each page."""
    return BLOCK.sub(lambda found: drawn(arrows_of(found['lines'])), text)


def arrows_of(lines: str) -> list[tuple[str, str]]:
    """Return the arrows of a graph.

    Raises:
        ValueError: a line is no arrow between two names.
    """
    arrows = []
    for line in filter(str.strip, lines.splitlines()):
        found = ARROW.fullmatch(line)
        if found is None:
            raise ValueError(f'{line!r} is no arrow such as: a --> b')
        arrows.append((found[1], found[2]))
    return arrows


def rows_of(arrows: list[tuple[str, str]]) -> dict[str, int]:
    """Return the row of each name: below all names from which an arrow leads to it.

    Raises:
        ValueError: arrows lead in a circle.
    """
    rows = {name: 0 for arrow in arrows for name in arrow}
    for _ in rows:
        if all(rows[start] < rows[end] for start, end in arrows):
            return rows
        for start, end in arrows:
            rows[end] = max(rows[end], rows[start] + 1)
    raise ValueError('the arrows of the graph lead in a circle')


def places_of(arrows: list[tuple[str, str]], rows: dict[str, int]) -> dict[Point, float]:
    """Return where each name, and each arrow on a row that it crosses, lies from left to right."""
    order: list[list[Point]] = [[] for _ in range(max(rows.values()) + 1)]
    beside: dict[Point, list[Point]] = defaultdict(list)
    for name, row in rows.items():
        order[row].append(name)
    for arrow in arrows:
        points = points_of(arrow, rows)
        for row, point in enumerate(points[1:-1], rows[arrow[0]] + 1):
            order[row].append(point)
        for one, other in pairwise(points):
            beside[one].append(other)
            beside[other].append(one)
    places: dict[Point, float] = {}
    for points in order:
        _place(points, places, dict.fromkeys(points, 0.0))
    for sweep in range(SWEEPS):
        for points in order if sweep % 2 else order[::-1]:
            wanted = {
                point: sum(places[other] for other in beside[point]) / len(beside[point])
                for point in points
            }
            points.sort(key=wanted.__getitem__)
            _place(points, places, wanted)
    return places


def points_of(arrow: tuple[str, str], rows: dict[str, int]) -> list[Point]:
    """Return the points of an arrow, one on each row from its start to its end."""
    start, end = arrow
    between: list[Point] = [(start, end, row) for row in range(rows[start] + 1, rows[end])]
    return [start, *between, end]


def width_of(point: Point) -> float:
    """Return the width of a name's box or of an arrow, in pixels."""
    return len(point) * CHARACTER_PX + PADDING_PX if isinstance(point, str) else EDGE_PX


def _place(points: list[Point], places: dict[Point, float], wanted: dict[Point, float]) -> None:
    """Place the points of a row in their order, as near to where they are wanted as is free."""
    left = 0.0
    for point in points:
        half = width_of(point) / 2
        places[point] = max(left + half, wanted[point])
        left = places[point] + half + GAP_PX
    # They were moved to the right only: all of them go back by the mean of that.
    back = sum(places[point] - wanted[point] for point in points) / len(points)
    for point in points:
        places[point] -= back


def drawn(arrows: list[tuple[str, str]]) -> str:
    """Return a graph as SVG in a paragraph of its own."""
    rows = rows_of(arrows)
    places = places_of(arrows, rows)
    left = min(place - width_of(point) / 2 for point, place in places.items())
    right = max(place + width_of(point) / 2 for point, place in places.items())
    height = max(rows.values()) * ROW_PX + HEIGHT_PX + 2
    parts = [_edge(arrow, rows, places) for arrow in arrows]
    parts += [_box(name, row, places[name]) for name, row in rows.items()]
    said = html.escape(', '.join(f'{start} to {end}' for start, end in arrows))
    return (
        f'<div class="graph"><svg role="img" aria-label="{said}" '
        'xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{left - 1:.0f} -1 {right - left + 2:.0f} {height:.0f}" font-size="13" '
        f'style="max-width: 100%" width="{right - left + 2:.0f}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker>'
        f'</defs>{"".join(parts)}</svg></div>'
    )


def _box(name: str, row: int, place: float) -> str:
    width = width_of(name)
    return (
        f'<rect x="{place - width / 2:.1f}" y="{row * ROW_PX:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT_PX}" rx="5" fill="var(--md-code-bg-color, #f5f5f5)" '
        'stroke="currentColor"/>'
        f'<text x="{place:.1f}" y="{row * ROW_PX + HEIGHT_PX / 2 + 4.5:.1f}" '
        f'text-anchor="middle" fill="currentColor">{name}</text>'
    )


def _edge(arrow: tuple[str, str], rows: dict[str, int], places: dict[Point, float]) -> str:
    """Return an arrow as a curve that is vertical on each row that it crosses."""
    points = points_of(arrow, rows)
    row = rows[arrow[0]]
    path = f'M{places[points[0]]:.1f},{row * ROW_PX + HEIGHT_PX:.1f}'
    for one, other in pairwise(points):
        row += 1
        top, bottom = (row - 1) * ROW_PX + HEIGHT_PX, row * ROW_PX
        middle = (top + bottom) / 2
        path += (
            f' C{places[one]:.1f},{middle:.1f} {places[other]:.1f},{middle:.1f} '
            f'{places[other]:.1f},{bottom:.1f}'
        )
        if other != points[-1]:
            path += f' V{bottom + HEIGHT_PX:.1f}'
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.55" '
        'marker-end="url(#arrow)"/>'
    )
