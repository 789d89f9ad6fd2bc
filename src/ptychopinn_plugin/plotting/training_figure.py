"""A picture of a training: its losses, its gate by dose, and what the network does to an object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import printable
from ptychopinn_plugin.io.model_file import TrainedModel, TrainingExample
from ptychopinn_plugin.networks.unrolled.dose_gate import DOSE_BINS, GATE_NAME
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.plotting.display import COVERED, WELL_COVERED, robust_range
from ptychopinn_plugin.plotting.figure import SUFFIXES
from ptychopinn_plugin.plotting.new_figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Behind the name of a model, beside its file.
NAME_ENDING = '-training.png'
TRAINING, VALIDATION = '#b8b8b8', '#2e6f95'
CHOSEN = '#d1495b'
INCHES = 3.7  # of a panel


def training_picture_path(model_file: Path) -> Path:
    """Return the picture beside a model's file, for model.safetensors model-training.png."""
    return model_file.with_name(f'{model_file.stem}{NAME_ENDING}')


def training_picture(model: TrainedModel, path: str | Path, *, title: str = '') -> None:
    """Draw the losses of a training, and what its network does.

    Below the losses, where they are known: the factor of the network's update by dose, and a crop
    that was held out of the training, before and after the full update, beside its object from all
    photons.

    Args:
        model: after its training; one that was read from a file has no crop to show.
        path: the picture, ending in .png, .pdf, .svg or .jpg.
        title: the first line of the heading.

    Raises:
        OutputError: the file cannot be written there.
    """
    path = Path(path)
    check_output(path, SUFFIXES)
    example, gate = model.example, model.weights.get(GATE_NAME)
    rows = 1 if example is None else 2
    figure = new_figure(3 * INCHES, rows * INCHES)
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    upper = parts[0].subplots(1, 1 if gate is None else 2, squeeze=False)[0]
    _draw_losses(upper[0], model.losses)
    if gate is not None:
        _draw_gate(upper[1], gate)
    if example is not None:
        _draw_example(list(parts[1].subplots(1, 3)), example)
    # A file name may hold dollars, which would begin a formula.
    figure.suptitle(printable(title), parse_math=False)
    with replacing(path) as file:
        save_figure(figure, file, path.suffix[1:].lower(), 120)


def _draw_losses(axes: Axes, losses: npt.NDArray[np.float64]) -> None:
    """Draw the losses of each epoch, and the best epoch."""
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, len(losses) + 1)
    axes.plot(epochs, losses[:, 0], '.-', color=TRAINING, label='training')
    axes.plot(epochs, losses[:, 1], '.-', color=VALIDATION, label='held-out frames')
    if np.isfinite(losses[:, 1]).any():
        best = int(np.nanargmin(losses[:, 1]))
        axes.plot(epochs[best], losses[best, 1], 'o', mfc='none', mec=CHOSEN, label='best epoch')
    axes.legend(frameon=False, fontsize='small')
    axes.set_title('loss', fontsize='medium')
    axes.set_xlabel('epoch', fontsize='small')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _tidy(axes)


def _draw_gate(axes: Axes, factor: npt.NDArray[np.float32]) -> None:
    """Draw the factor of the network's update by dose, linear between the bins as it is used."""
    axes.plot(10**DOSE_BINS, factor, '.-', color=VALIDATION)
    axes.set_xscale('log')
    axes.set_ylim(-0.05, 1.05)
    axes.set_title("gate: share of the network's update that is used", fontsize='medium')
    axes.set_xlabel('photons an object pixel', fontsize='small')
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.tick_params(which='both', labelsize='small')
    axes.grid(visible=True, color='#e4e4e4', linewidth=0.6)


def _draw_example(axes: list[Axes], example: TrainingExample) -> None:
    """Draw the phase of the crop before and after the update, and from all photons."""
    covered = example.dose > COVERED * float(example.dose.max())
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    covered = covered[window]
    well = example.dose[window] > WELL_COVERED * float(example.dose.max())
    reference = example.reference[window]
    mean = np.vdot(np.ones(int(well.sum())), reference[well])
    phases = [
        np.angle(aligned(one[window], reference) * np.conj(mean))
        for one in (example.before, example.after, example.reference)
    ]
    low, high = robust_range(phases[-1][well])
    titles = ('physics alone', 'with the network', 'from all photons')
    for each, phase, name in zip(axes, phases, titles, strict=True):
        shown = each.imshow(
            np.ma.masked_array(phase, ~covered),
            cmap='viridis',
            vmin=low,
            vmax=high,
            interpolation='nearest',
        )
        error = np.abs(np.angle(np.exp(1j * (phase - phases[-1]))))[well]
        rms = float(np.sqrt(np.mean(error**2)))
        known = f'\n{rms:.3f} rad rms from all photons' if name != titles[-1] else '\nphase, rad'
        each.set_title(f'held-out crop, {name}{known}', fontsize='medium')
        each.set_axis_off()
    axes[-1].figure.colorbar(shown, ax=axes, fraction=0.02, pad=0.01)
