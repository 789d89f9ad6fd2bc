"""Figures without pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
