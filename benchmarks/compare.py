"""Compare physics alone, the networks and pty-chi: quality against seconds, on both backends.

usage: compare.py [SCAN.npz ...] --folder FOLDER [--backends pytorch,tensorflow] [--ptychi PYTHON]
                  [--unrolled M.safetensors] [--cnn M.safetensors] [--update-probe]
                  [--epochs N] [--cnn-epochs N] [--repeats N] [--passes 8,24]

Prints a Markdown table; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scans import Case, case_of, learned_scans, scored, tested_cases

from ptychopinn_plugin import ModelConfig, ScanData, TrainingConfig, save_model, train
from ptychopinn_plugin.config import Backend

PTYCHI_EPOCHS = '5,10,20'
TITLES = {'pytorch': 'PyTorch', 'tensorflow': 'TensorFlow'}
SCORES = {'nrmse': '.4f', 'phase_ssim': '.3f', 'frc_half': '.2f', 'residual': '.5f'}


def trained(
    scans: Sequence[ScanData], path: Path, model: ModelConfig, epochs: int, backend: Backend
) -> Path:
    """Train a model, say how long it took, and save it."""
    began = time.perf_counter()
    found = train(scans, backend=backend, model=model, training=TrainingConfig(epochs=epochs))
    seconds = time.perf_counter() - began
    print(f'{path.stem}: {epochs} epochs in {seconds:.0f} s', file=sys.stderr, flush=True)
    save_model(path, found)
    return path


def models(arguments: argparse.Namespace, cases: Sequence[Case]) -> list[str]:
    """Return the flags that name the models, trained where they were not given."""
    backend, folder = arguments.backends[0], arguments.folder
    unrolled, cnn = arguments.unrolled, arguments.cnn
    if unrolled is None:
        path = folder / 'unrolled.safetensors'
        unrolled = trained(learned_scans(), path, ModelConfig(), arguments.epochs, backend)
    if cnn is None and arguments.cnn_epochs:
        # As published: on the scan itself; later scans of the list are new to it.
        path, config = folder / 'cnn.safetensors', ModelConfig(architecture='cnn')
        cnn = trained([cases[0].scan], path, config, arguments.cnn_epochs, backend)
    flags = ['--unrolled', str(unrolled)]
    return flags if cnn is None else [*flags, '--cnn', str(cnn)]


def measured(arguments: argparse.Namespace, cases: Sequence[Case]) -> dict[str, Any]:
    """Measure each backend in a process of its own."""
    script = Path(__file__).with_name('measure.py')
    flags = [*models(arguments, cases), '--passes', arguments.passes]
    flags += ['--repeats', str(arguments.repeats)]
    flags += ['--update-probe'] if arguments.update_probe else []
    found = {}
    for backend in arguments.backends:
        out = arguments.folder / f'{backend}.json'
        command = [sys.executable, script, backend, out, *(case.path for case in cases), *flags]
        subprocess.run([str(word) for word in command], check=True)
        found[backend] = json.loads(out.read_text())
        print(f'{backend}: first call {found[backend]["first_call"]:.1f} s', file=sys.stderr)
    return found


def ptychi(case: Case, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Reconstruct with pty-chi in its own environment."""
    out = arguments.folder / f'ptychi-{case.path.stem}'
    script = Path(__file__).with_name('anchor_ptychi.py')
    command = [arguments.ptychi, script, case.path, out, PTYCHI_EPOCHS]
    command += ['--update-probe'] if arguments.update_probe else []
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    rows = []
    for epochs in PTYCHI_EPOCHS.split(','):
        with np.load(out / f'{epochs}.npz') as saved:
            seconds, scores = float(saved['seconds']), scored(case, saved['object'])
        rows.append({'method': f'pty-chi LSQML, {epochs} epochs', 'seconds': seconds, **scores})
    return rows


def line(case: str, method: str, rows: Sequence[dict[str, Any] | None]) -> str:
    """Return a Markdown row: seconds and nrmse a backend, the first one's other scores."""
    cells = [case, method]
    cells += ['' if row is None else f'{row["seconds"]:.2f}' for row in rows]
    cells += ['' if row is None else _shown(row, 'nrmse') for row in rows]
    first = next(row for row in rows if row is not None)
    cells += [_shown(first, name) for name in list(SCORES)[1:]]
    return f'| {" | ".join(cells)} |'


def _shown(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return '' if value is None else format(value, SCORES[name])


def table(cases: Sequence[Case], arguments: argparse.Namespace) -> None:
    """Print the table, pty-chi's rows as soon as they are measured."""
    backends = arguments.backends
    found = measured(arguments, cases)
    heads = ['scan', 'method', *(f'seconds {TITLES[name]}' for name in backends)]
    heads += [*(f'nrmse {TITLES[name]}' for name in backends), 'phase SSIM', 'FRC 0.5', 'residual']
    print(f'| {" | ".join(heads)} |\n|{"---|" * len(heads)}')
    for case in cases:
        own = {
            name: [row for row in found[name]['rows'] if row['case'] == str(case.path)]
            for name in backends
        }
        for rows in zip(*own.values(), strict=True):
            print(line(case.name, rows[0]['method'], rows), flush=True)
        for row in ptychi(case, arguments) if arguments.ptychi else ():
            # pty-chi computes with PyTorch.
            shown = [row if name == 'pytorch' else None for name in backends]
            print(line(case.name, row['method'], shown), flush=True)


def main() -> None:
    """Simulate, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scans', nargs='*', type=Path)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument(
        '--backends', type=lambda s: s.split(','), default=['pytorch', 'tensorflow']
    )
    parser.add_argument('--unrolled', type=Path)
    parser.add_argument('--cnn', type=Path)
    parser.add_argument('--epochs', type=int, default=TrainingConfig().epochs)
    parser.add_argument('--cnn-epochs', type=int, default=60)
    parser.add_argument('--ptychi')
    parser.add_argument('--update-probe', action='store_true')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--passes', default='8,12,24,48')
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    named = [case_of(path) for path in arguments.scans]
    table(named or tested_cases(arguments.folder), arguments)


if __name__ == '__main__':
    main()
