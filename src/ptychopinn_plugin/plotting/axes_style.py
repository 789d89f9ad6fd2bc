"""Ticks of logarithmic axes, and legends that cover no curve."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatterMathtext,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)

# Labels of an axis at most, so that they do not overlap in a panel of three inches.
MOST_TICKS = 6


def label_log_axis(axes: Axes) -> None:
    """Label the logarithmic vertical axis, after everything is drawn.

    Over less than half a decade ticks are round numbers in equal distances, over two decades 1, 2
    and 5 of each, and over more the decades: matplotlib labels all ten or none.
    """
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    axis = axes.yaxis
    axis.set_minor_formatter(NullFormatter())
    if decades < 0.5:
        axis.set_major_locator(MaxNLocator(nbins=MOST_TICKS - 1, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(_plain))
    elif decades < 2:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(_plain))
    else:
        axis.set_major_locator(LogLocator(numticks=MOST_TICKS))
        axis.set_major_formatter(LogFormatterMathtext())


def _plain(value: float, _: int | None) -> str:
    return f'{value:.6g}'


def legend_below(axes: Axes) -> None:
    """Put the legend below the axes, all entries in one row."""
    axes.legend(
        frameon=False,
        fontsize='small',
        loc='upper center',
        bbox_to_anchor=(0.5, -0.16),
        ncols=len(axes.get_legend_handles_labels()[1]),
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.0,
        borderaxespad=0.4,
    )
