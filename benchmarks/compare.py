"""Compare physics alone, the networks and pty-chi: quality against seconds, on both backends.

usage: compare.py [SCAN.npz ...] --folder FOLDER [--backends pytorch,tensorflow] [--ptychi PYTHON]
                  [--cnn M.safetensors] [--update-probe] [--cnn-epochs N] [--repeats N]
                  [--passes 8,24] [--readme README.md --page docs/benchmarks.md]

Prints Markdown tables, or puts them into the pages; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from page_tables import write_between
from scans import Case, case_of, scored, tested_cases

from ptychopinn_plugin import ModelConfig, TrainingConfig, save_model, train

PTYCHI_EPOCHS = '5,10,20'
BEGIN, END = '<!-- comparison -->', '<!-- end of the comparison -->'
COLUMNS = (
    'physics alone, 24 passes',
    'pty-chi LSQML, 20 epochs',
    'published network',
    'published network, then 8 passes',
)
PTYCHI = 'pty-chi ran with momentum 0.5 and batches of 44, as its manual advises.'
HOW = f"""Made with `benchmarks/compare.py` on a processor, float32, true probe given, 1,089 frames
of 64 x 64 (144 at the wide step). The published network (`cnn`) was trained on the first scan of
the table alone: the other scans are new to it. Seconds include the set-up, not imports and first
traces: an engine is kept, and each figure is the median of several calls after a first one
(pty-chi: one run). nrmse is the relative error of the complex object after scale, phase, ramp
and shift are removed; 0 is perfect. {PTYCHI}"""
TITLES = {'pytorch': 'PyTorch', 'tensorflow': 'TensorFlow'}
SCORES = {'nrmse': '.4f', 'phase_ssim': '.3f', 'frc_half': '.2f', 'residual': '.5f'}


def published_network(arguments: argparse.Namespace, case: Case) -> tuple[Path | None, float]:
    """Return the published network, trained on a scan as published, and the seconds of that.

    That of the folder is taken where there is one; the record beside it has the seconds.
    """
    if arguments.cnn is not None or not arguments.cnn_epochs:
        return arguments.cnn, math.nan
    path = arguments.folder / 'cnn.safetensors'
    record = path.with_suffix('.json')
    if not (path.exists() and record.exists()):
        began = time.perf_counter()
        found = train(
            case.scan,
            backend=arguments.backends[0],
            model=ModelConfig(architecture='cnn'),
            training=TrainingConfig(epochs=arguments.cnn_epochs),
        )
        save_model(path, found)
        kept = {'epochs': arguments.cnn_epochs, 'seconds': time.perf_counter() - began}
        record.write_text(json.dumps(kept))
    return path, float(json.loads(record.read_text())['seconds'])


def measured(
    arguments: argparse.Namespace, cases: Sequence[Case], cnn: Path | None
) -> dict[str, Any]:
    """Measure each backend in a process of its own."""
    script = Path(__file__).with_name('measure.py')
    flags = ['--passes', arguments.passes, '--repeats', str(arguments.repeats)]
    flags += ['--update-probe'] if arguments.update_probe else []
    flags += [] if cnn is None else ['--cnn', str(cnn)]
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
    command = [arguments.ptychi, script, case.path, out, PTYCHI_EPOCHS, '--advised']
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


def all_rows(
    cases: Sequence[Case], arguments: argparse.Namespace, cnn: Path | None
) -> Iterator[tuple[str, str, list[dict[str, Any] | None]]]:
    """Yield scan, method and what each backend gave, pty-chi's rows last of each scan."""
    backends = arguments.backends
    found = measured(arguments, cases, cnn)
    for case in cases:
        own = [
            [row for row in found[name]['rows'] if row['case'] == str(case.path)]
            for name in backends
        ]
        for rows in zip(*own, strict=True):
            yield case.name, rows[0]['method'], list(rows)
        for row in ptychi(case, arguments) if arguments.ptychi else ():
            # pty-chi computes with PyTorch.
            yield case.name, row['method'], [row if one == 'pytorch' else None for one in backends]


def full_table(
    rows: Sequence[tuple[str, str, list[dict[str, Any] | None]]], backends: Sequence[str]
) -> str:
    """Return all rows as a Markdown table."""
    heads = ['scan', 'method', *(f'seconds {TITLES[name]}' for name in backends)]
    heads += [*(f'nrmse {TITLES[name]}' for name in backends), 'phase SSIM', 'FRC 0.5', 'residual']
    top = [f'| {" | ".join(heads)} |', f'|{"---|" * len(heads)}']
    return '\n'.join([*top, *(line(*row) for row in rows)])


def summary(
    rows: Sequence[tuple[str, str, list[dict[str, Any] | None]]], training_seconds: float
) -> str:
    """Return the methods of the README as columns, nrmse and seconds of the first backend."""
    by_scan: dict[str, dict[str, str]] = {}
    for case, method, (row, *_) in rows:
        if row is not None and 'nrmse' in row:
            by_scan.setdefault(case, {})[method] = f'{row["nrmse"]:.4f} in {row["seconds"]:.2f} s'
    heads = [name for name in COLUMNS if any(name in found for found in by_scan.values())]
    lines = [f'| scan | {" | ".join(heads)} |', f'|---|{"---|" * len(heads)}']
    lines += [
        f'| {case} | {" | ".join(found.get(name, "") for name in heads)} |'
        for case, found in by_scan.items()
    ]
    trained = [f'{training_seconds:.0f} s' if 'published' in name else 'none' for name in heads]
    return '\n'.join([*lines, f'| training before it | {" | ".join(trained)} |'])


def main() -> None:
    """Simulate, train, measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scans', nargs='*', type=Path)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument(
        '--backends', type=lambda s: s.split(','), default=['pytorch', 'tensorflow']
    )
    parser.add_argument('--cnn', type=Path)
    parser.add_argument('--cnn-epochs', type=int, default=60)
    parser.add_argument('--ptychi')
    parser.add_argument('--update-probe', action='store_true')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--passes', default='8,24')
    parser.add_argument('--readme', type=Path)
    parser.add_argument('--page', type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    cases = [case_of(path) for path in arguments.scans] or tested_cases(arguments.folder)
    cnn, seconds = published_network(arguments, cases[0])
    rows = list(all_rows(cases, arguments, cnn))
    full, short = full_table(rows, arguments.backends), summary(rows, seconds)
    if arguments.page is None:
        print(full)
    else:
        write_between(arguments.page, BEGIN, END, f'{HOW}\n\n{full}')
    if arguments.readme is not None:
        write_between(arguments.readme, BEGIN, END, f'{short}\n\n{PTYCHI}')


if __name__ == '__main__':
    main()
