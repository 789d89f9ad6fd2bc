"""The panels of a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib_scalebar.scalebar import ScaleBar

from ptychopinn_plugin.errors import printable_line
from ptychopinn_plugin.plotting.axes_style import label_log_axis, legend_below
from ptychopinn_plugin.plotting.display import (
    COVERED,
    MaskedImage,
    ObjectView,
    PositionMoves,
    hue_and_brightness,
    position_moves,
    robust_range,
)
from ptychopinn_plugin.scan import Quality, Reconstruction

UNCOVERED = '#9a9a9a'
ARROWS = '#d1495b'
MODES_SHOWN = 4
LONGEST_FORMULA = 200
# Brightest colour of an error, relative to its median.
ERROR_RANGE = 3.0
# Brightest colour of what a network changed: beyond three standard deviations it is no noise.
CHANGE_RANGE = 3.0
_STAGE_COLOURS = {'network': '#d1495b', 'solver': '#2e6f95'}


def draw_amplitude(axes: Axes, view: ObjectView) -> None:
    """Draw the amplitude of the object."""
    _draw_image(axes, view.amplitude, 'bone', view.amplitude_range, view.extent)
    axes.set_title('object amplitude')


def draw_phase(axes: Axes, view: ObjectView) -> None:
    """Draw the phase of the object, its mean and its ramp taken off."""
    colours = 'twilight' if view.wraps else 'viridis'
    _draw_image(axes, view.phase, colours, view.phase_range, view.extent, 'rad')
    axes.set_title('object phase (mean and ramp removed)')


def draw_scale_bar(axes: Axes, pixel_size_m: float) -> None:
    """Draw a scale bar at most a quarter as long as the image is wide."""
    axes.add_artist(
        ScaleBar(pixel_size_m, location='lower right', length_fraction=0.25, border_pad=0.6)
    )


def draw_probe(axes: Axes, reconstruction: Reconstruction) -> None:
    """Draw the probe's strongest modes, phase as hue and amplitude as brightness."""
    probe = reconstruction.probe
    power = np.sum(np.abs(probe) ** 2, axis=(1, 2))
    order = np.argsort(power)[::-1][:MODES_SHOWN]
    tiles = [hue_and_brightness(probe[mode]) for mode in order]
    side = int(np.ceil(np.sqrt(len(tiles))))
    tiles += [np.zeros_like(tiles[0])] * (side * -(-len(tiles) // side) - len(tiles))
    rows = [np.hstack(tiles[start : start + side]) for start in range(0, len(tiles), side)]
    axes.imshow(np.vstack(rows), interpolation='nearest')
    axes.set_axis_off()
    shares = ', '.join(f'{share:.0%}' for share in power[order] / (power.sum() or 1))
    modes = f'{len(probe)} modes: {shares}\n' if len(probe) > 1 else ''
    axes.set_title(f'probe\n{modes}hue: phase, brightness: amplitude', fontsize='medium')


def draw_coverage(axes: Axes, reconstruction: Reconstruction) -> None:
    """Draw how much of the light each object pixel got, and how positions were refined."""
    coverage = np.ma.masked_less_equal(reconstruction.coverage, COVERED)
    _draw_image(axes, coverage, 'cividis', (0.0, robust_range(reconstruction.coverage)[1]), None)
    moves = position_moves(reconstruction)
    if moves is not None:
        draw_moves(axes, moves)
    arrows = '' if moves is None else f', arrows: refined positions, {moves.magnified:g} x'
    axes.set_title(f'coverage\ngrey: below {COVERED:.0%}{arrows}', fontsize='medium')


def draw_moves(axes: Axes, moves: PositionMoves) -> None:
    """Draw an arrow from each nominal position the way it was refined, magnified."""
    (rows, columns), (down, right) = moves.nominal_px.T, moves.moved_px.T * moves.magnified
    axes.quiver(
        columns,
        rows,
        right,
        down,
        angles='xy',
        scale_units='xy',
        scale=1,
        width=0.005,
        color=ARROWS,
    )


def draw_residual(axes: Axes, reconstruction: Reconstruction) -> None:
    """Draw the residual of each step on a log axis, one colour a kind of step."""
    residual = reconstruction.residual
    name = reconstruction.residual_name
    title = printable_line(f'residual {name}' if name else 'residual or loss')
    axes.set_title(title, fontsize='medium', parse_math=_is_formula(title))
    if not np.any(np.isfinite(residual) & (residual > 0)):
        axes.text(0.5, 0.5, 'none stored', ha='center', va='center', transform=axes.transAxes)
        axes.set_axis_off()
        return
    steps = np.arange(1, len(residual) + 1)
    axes.semilogy(steps, residual, color='#b8b8b8', linewidth=1)
    stages = np.asarray(reconstruction.stages or ('solver',) * len(residual))
    for stage in dict.fromkeys(stages.tolist()):
        chosen = stages == stage
        colour = _STAGE_COLOURS.get(stage, '#444444')
        axes.semilogy(steps[chosen], residual[chosen], '.', color=colour, label=_label(stage))
    axes.set_xlabel('step', fontsize='small')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    label_log_axis(axes)
    axes.tick_params(which='both', labelsize='small')
    axes.legend(frameon=False, fontsize='small')
    axes.grid(visible=True, which='both', color='#e4e4e4', linewidth=0.6)


def _is_formula(text: str) -> bool:
    """Return whether matplotlib can set a text with its formulas; a file may hold any."""
    from matplotlib.mathtext import MathTextParser

    if len(text) > LONGEST_FORMULA:
        return False
    try:
        MathTextParser('path').parse(text)
    except (ValueError, RecursionError):
        return False
    return True


def _label(stage: str) -> str:
    """Return a stage as a legend shows it: an underscore would hide it, dollars begin a formula."""
    return printable_line(stage).lstrip('_').replace('$', r'\$')[:LONGEST_FORMULA] or 'other'


def draw_error(
    axes: Axes, error: npt.NDArray[np.float32], view: ObjectView, unit: str = ''
) -> None:
    """Draw the standard deviation of an object's phase or amplitude.

    Args:
        axes: where.
        error: float32 (H, W), on the canvas of the object.
        view: of the object, which is drawn on the same part of the canvas.
        unit: of the error, '' for none.
    """
    part: MaskedImage = np.ma.masked_array(error[view.rows, view.columns], view.amplitude.mask)
    # Errors grow without bound towards the border: the range is that of the well covered part.
    limit = float(np.nanmedian(part.filled(np.nan))) * ERROR_RANGE
    _draw_image(axes, part, 'magma', (0.0, limit or 1.0), view.extent, unit)


def draw_network_change(axes: Axes, deviations: npt.NDArray[np.float32], view: ObjectView) -> None:
    """Draw what a network changed in the object.

    Args:
        axes: where.
        deviations: float32 (H, W), on the canvas of the object, standard deviations.
        view: of the object, which is drawn on the same part of the canvas.
    """
    part = np.ma.masked_array(deviations[view.rows, view.columns], view.amplitude.mask)
    _draw_image(axes, part, 'inferno', (0.0, CHANGE_RANGE), view.extent, 'sigma')
    axes.set_title('changed by the network\nstandard deviations', fontsize='medium')


def draw_ring_correlation(axes: Axes, quality: Quality) -> None:
    """Draw the Fourier ring correlation of the two halves with its thresholds."""
    axes.plot(quality.ring_frequency, quality.ring_correlation, color='#2e6f95', label='two halves')
    axes.plot(quality.ring_frequency, quality.half_bit, color='#d1495b', lw=1, label='half bit')
    axes.plot(quality.ring_frequency, quality.one_bit, color='#b8b8b8', lw=1, label='one bit')
    axes.axvline(quality.half_bit_limit, color='#d1495b', lw=1, ls=':')
    axes.set_xlim(0, 0.5)
    axes.set_ylim(min(0.0, float(quality.ring_correlation.min())), 1.02)
    axes.set_xlabel('cycles a pixel', fontsize='small')
    axes.tick_params(labelsize='small')
    legend_below(axes)
    axes.grid(visible=True, color='#e4e4e4', linewidth=0.6)
    resolution = f'{quality.resolution_px:.2g} px'
    axes.set_title(
        f'Fourier ring correlation\nhalf period resolved: {resolution}', fontsize='medium'
    )


def _draw_image(
    axes: Axes,
    image: MaskedImage,
    colours: str,
    limits: tuple[float, float],
    extent: tuple[float, float, float, float] | None,
    unit: str = '',
) -> None:
    from matplotlib import colormaps

    shown = axes.imshow(
        image,
        cmap=colormaps[colours].with_extremes(bad=UNCOVERED),
        vmin=limits[0],
        vmax=limits[1],
        extent=extent,
        interpolation='nearest',
    )
    axes.tick_params(labelsize='small')
    axes.locator_params(nbins=5)
    bar = axes.figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize='small')
    # Beside the bar: above it, the unit would touch the title of a narrow panel.
    bar.set_label(unit, fontsize='small')
