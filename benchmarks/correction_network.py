"""Trainings of the published architecture by input, target and channels: quality and speed.

usage: correction_network.py --folder FOLDER [--backend pytorch] [--row NAME ...]
                             [--initial-model MODEL] [--page docs/benchmarks.md]

Trains on one scan of 1,089 frames for each row of `ROWS`, in one thread and bfloat16, and
reconstructs that scan and one of another object, without physics passes afterwards. The best epoch
is that of the frames that are trained on, but for rows that say otherwise. Prints
processor seconds of the training, phase SSIM and nrmse of both objects, and frames of the scan over
processor seconds of a whole reconstruction (errors not estimated, probe held; median of five) in
float32 and bfloat16. What is in FOLDER already is not computed again; with --page the table is
written into that page, between its markers. With --initial-model each row goes on from that model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

from page_tables import write_between
from scans import DENSE, Case, case_of, scored

from ptychopinn_plugin import (
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainedModel,
    TrainingConfig,
    make_engine,
    reconstruct,
    save_model,
    train,
)
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

BEGIN, END = '<!-- corrections -->', '<!-- end of the corrections -->'
HEADS = (
    'scan, input, target, channels',
    'epochs',
    'training, s',
    'phase SSIM (nrmse)',
    'of another object',
    'frames a s, float32',
    'bfloat16',
)
INFERENCE = InferenceConfig(cnn_refine_iterations=0, estimate_errors=False, update_probe='off')
REPEATS = 5


class Row(NamedTuple):
    """One training.

    Attributes:
        scan: settings of the simulation.
        epochs: of the training.
        model: settings of the network.
        target: of the training.
        own: whether the best epoch is that of the frames that are trained on, for reconstructions
            of this very scan; else that of held-out ones.
    """

    scan: dict[str, Any]
    epochs: int
    model: dict[str, Any]
    target: str = 'reconstruction'
    own: bool = True


CORRECTION = {'network_input': 'back_projection'}
MIXED, LINES = {'object_kind': 'mixed', 'seed': 5}, {'object_kind': 'lines', 'seed': 6}
# Of one kind, and of no scan that is trained on.
OTHER = {'object_kind': 'mixed', 'seed': 1}
ROWS = {
    'mixed, back projection, reconstruction, 1': Row(MIXED, 90, CORRECTION),
    'mixed, back projection, reconstruction, 1, held-out frames': Row(
        MIXED, 90, CORRECTION, own=False
    ),
    'mixed, back projection, reconstruction, 0.5': Row(
        MIXED, 90, {**CORRECTION, 'n_filters_scale': 0.5}
    ),
    'lines, back projection, reconstruction, 1': Row(LINES, 90, CORRECTION),
    'mixed, 1e4 photons, back projection, reconstruction, 1': Row(
        {**MIXED, 'photons_per_frame': 1e4}, 30, CORRECTION
    ),
    'mixed, back projection, frames, 1': Row(MIXED, 30, CORRECTION, 'frames'),
    'mixed, amplitudes, reconstruction, 1': Row(MIXED, 20, {}),
    'mixed, amplitudes, reconstruction, 0.5': Row(MIXED, 20, {'n_filters_scale': 0.5}),
}


def simulated(folder: Path, settings: dict[str, Any]) -> Case:
    """Return a simulated scan, kept in a folder."""
    path = folder / ('-'.join(str(value) for value in settings.values()) + '.npz')
    if not path.exists():
        config = SimulationConfig.model_validate({**settings, **DENSE})
        save_simulated(path, simulate(config))
    return case_of(path)


def trained(row: Row, case: Case, arguments: argparse.Namespace) -> tuple[TrainedModel, float]:
    """Return a model and the processor seconds of its training."""
    model = ModelConfig.model_validate({'architecture': 'cnn', **row.model})
    training = TrainingConfig.model_validate(
        {
            'epochs': arguments.epochs or row.epochs,
            'training_target': row.target,
            # Nothing depends on held-out frames then; a few rows are needed all the same.
            **({'validation_fraction': 0.02} if row.own else {}),
        }
    )
    execution = ExecutionConfig(
        backend=arguments.backend,
        threads=1,
        training_precision='bfloat16',
        checkpoint_monitor_metric='train_loss' if row.own else 'val_loss',
        learning_rate=arguments.learning_rate,
    )
    began = time.process_time()
    found = train(
        case.scan,
        model=model,
        training=training,
        execution=execution,
        initial_model=arguments.initial_model,
    )
    return found, time.process_time() - began


def frames_a_second(
    case: Case, model: TrainedModel, backend: str, precision: str
) -> tuple[float, str]:
    """Return frames over processor seconds of a reconstruction, and the scores of its object."""
    execution = ExecutionConfig.model_validate(
        {'backend': backend, 'threads': 1, 'inference_precision': precision}
    )
    engine = make_engine(execution=execution)
    seconds = []
    for _ in range(1 + REPEATS):
        began = time.process_time()
        result = reconstruct(case.scan, model=model, inference=INFERENCE, engine=engine)
        seconds.append(time.process_time() - began)
    scores = scored(case, result.object_canvas)
    # Import and first trace do not count.
    rate = case.scan.frame_count / statistics.median(seconds[1:])
    return rate, f'{scores["phase_ssim"]:.3f} ({scores["nrmse"]:.3f})'


def measured(name: str, arguments: argparse.Namespace) -> list[str]:
    """Return the cells of a row."""
    row, folder = ROWS[name], arguments.folder
    case = simulated(folder, row.scan)
    model, seconds = trained(row, case, arguments)
    save_model(folder / f'{name.replace(", ", "-").replace(" ", "-")}.safetensors', model)
    rate, own = frames_a_second(case, model, arguments.backend, 'float32')
    faster, _ = frames_a_second(case, model, arguments.backend, 'bfloat16')
    _, other = frames_a_second(simulated(folder, OTHER), model, arguments.backend, 'bfloat16')
    epochs = len(model.losses)
    return [str(epochs), f'{seconds:.0f}', own, other, f'{rate:.0f}', f'{faster:.0f}']


def main() -> None:
    """Train what is missing, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--row', action='append', choices=list(ROWS))
    parser.add_argument('--epochs', type=int, default=0)
    parser.add_argument('--learning-rate', type=float, default=0.0)
    parser.add_argument('--initial-model', type=Path)
    parser.add_argument('--page', type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / 'corrections.json'
    kept: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    for name in arguments.row or ROWS:
        if name not in kept:
            kept[name] = measured(name, arguments)
            path.write_text(json.dumps(kept, indent=1))
        print(name, *kept[name], flush=True)
    rows = [HEADS, ['---'] * len(HEADS), *([name, *kept[name]] for name in ROWS if name in kept)]
    text = '\n'.join(f'| {" | ".join(row)} |' for row in rows)
    print(text)
    if arguments.page:
        write_between(arguments.page, BEGIN, END, f'\n{text}\n')


if __name__ == '__main__':
    main()
