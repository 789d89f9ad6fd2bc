"""Figures without pyplot."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure that is drawn by Agg.

    Args:
        width: inches.
        height: inches.
    """
    # Not pyplot, which keeps every figure and a backend in global state. Imported here, so that
    # commands that draw nothing do not wait for matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, file: IO[bytes], kind: str, dpi: float) -> None:
    """Write a figure and empty it.

    Its parts refer to each other, so that otherwise they stay in memory until Python looks for
    such circles, which in a program that is open for days is seldom.

    Args:
        figure: of `new_figure`.
        file: a binary file.
        kind: of the picture, such as 'png'.
        dpi: pixels an inch.
    """
    figure.savefig(file, format=kind, dpi=dpi)
    figure.clear()
