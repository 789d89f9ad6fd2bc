"""The figures of a report, one function each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptychopinn_plugin.plotting import panels
from ptychopinn_plugin.plotting.axes_style import label_log_axis, legend_below
from ptychopinn_plugin.plotting.display import hue_and_brightness, object_view
from ptychopinn_plugin.plotting.new_figure import new_figure
from ptychopinn_plugin.scan import Quality, Reconstruction
from ptychopinn_plugin.scan.network_change import change_in_deviations

MOST_MODES = 12
MODES_IN_A_ROW = 4
INCHES = 3.7  # of a panel


def object_figure(reconstruction: Reconstruction) -> Figure:
    """Draw amplitude and phase of the object."""
    figure, (left, right) = _panels(2, height=1.35 * INCHES)
    view = object_view(reconstruction)
    panels.draw_amplitude(left, view)
    panels.draw_phase(right, view)
    if reconstruction.pixel_size_m is not None:
        panels.draw_scale_bar(left, reconstruction.pixel_size_m[1])
    return figure


def probe_figure(reconstruction: Reconstruction) -> Figure:
    """Draw each mode of the probe, the strongest first."""
    power = np.sum(np.abs(reconstruction.probe) ** 2, axis=(1, 2))
    order = np.argsort(power)[::-1][:MOST_MODES]
    rows = -(-len(order) // MODES_IN_A_ROW)
    figure = new_figure(3 * INCHES, 0.95 * INCHES * rows)
    for place, mode in enumerate(order, start=1):
        axes = figure.add_subplot(rows, MODES_IN_A_ROW, place)
        axes.imshow(hue_and_brightness(reconstruction.probe[mode]), interpolation='nearest')
        axes.set_axis_off()
        axes.set_title(f'{power[mode] / (power.sum() or 1):.1%}', fontsize='medium')
    return figure


def progress_figure(reconstruction: Reconstruction) -> Figure:
    """Draw the residual of each step and the coverage."""
    figure, (left, right) = _panels(2)
    panels.draw_residual(left, reconstruction)
    panels.draw_coverage(right, reconstruction)
    return figure


def quality_figure(reconstruction: Reconstruction, quality: Quality) -> Figure:
    """Draw errors of amplitude and phase, the ring correlation, and what a network changed."""
    deviations = change_in_deviations(reconstruction)
    figure, (first, second, third, *others) = _panels(3 if deviations is None else 4)
    view = object_view(reconstruction)
    if deviations is not None:
        panels.draw_network_change(others[0], deviations, view)
    panels.draw_error(first, quality.amplitude_error, view)
    first.set_title('amplitude error', fontsize='medium')
    panels.draw_error(second, quality.phase_error, view, 'rad')
    second.set_title('phase error', fontsize='medium')
    panels.draw_ring_correlation(third, quality)
    return figure


def positions_figure(reconstruction: Reconstruction, nominal_px: npt.NDArray[np.float64]) -> Figure:
    """Draw positions before and after, and the changes less their mean.

    Args:
        reconstruction: its positions are the refined ones.
        nominal_px: float64 (n, 2), (row, column), before.
    """
    figure, (left, right) = _panels(2, height=1.2 * INCHES)
    refined = reconstruction.positions_px
    left.plot(nominal_px[:, 1], nominal_px[:, 0], 'o', mfc='none', mec='#7a7a7a', label='before')
    left.plot(refined[:, 1], refined[:, 0], '.', color=panels.ARROWS, label='after')
    _label_pixels(left, 'positions')
    legend_below(left)
    change = refined - nominal_px
    change = change - change.mean(axis=0)
    right.plot(change[:, 1], change[:, 0], '.', color=panels.ARROWS)
    size = float(np.sqrt(np.mean(np.sum(change**2, axis=1))))
    _label_pixels(right, f'changes, their mean taken off ({size:.3g} px rms)')
    return figure


def losses_figure(reconstruction: Reconstruction) -> Figure:
    """Draw the training loss of the network, an epoch each."""
    figure, (axes,) = _panels(1, height=0.8 * INCHES)
    losses = np.array(reconstruction.losses)
    axes.plot(np.arange(1, len(losses) + 1), losses, color=panels.ARROWS)
    # A loss below 0 is possible and has no place on a logarithmic axis.
    if losses.min() > 0:
        axes.set_yscale('log')
        label_log_axis(axes)
    axes.set_xlabel('epoch', fontsize='small')
    axes.set_ylabel('training loss', fontsize='small')
    axes.tick_params(labelsize='small')
    return figure


def _label_pixels(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize='medium')
    axes.set_xlabel('column, px', fontsize='small')
    axes.set_ylabel('row, px', fontsize='small')
    axes.tick_params(labelsize='small')
    axes.set_aspect('equal', adjustable='datalim')
    axes.invert_yaxis()  # rows are counted downwards, as in the pictures of the object


def _panels(count: int, *, height: float = INCHES) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels beside each other."""
    figure = new_figure(3 * INCHES, height)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])
