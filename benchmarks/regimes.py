"""Compare physics, networks and pty-chi over overlaps, doses, few patterns and wrong probes.

usage: regimes.py --folder FOLDER [--backend pytorch] [--cnn-epochs N] [--ptychi PYTHON]
                  [--page docs/benchmarks.md]

Trains the published network on 512 patterns, reconstructs each scan of `regime_scans.py` with each
method, all from an empty object (other starts: `sparse_scans.py`), and prints a Markdown table for
each regime: nrmse, phase SSIM and processor seconds. What is in FOLDER already is not computed
again. With --page the tables are written into that page, between its markers.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from page_tables import write_between
from regime_scans import REGIMES, KnownScan, patterns_512

from ptychopinn_plugin import (
    Engine,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainedModel,
    TrainingConfig,
    load_model,
    make_engine,
    reconstruct,
    save_model,
    train,
)
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.metrics import score

BEGIN, END = '<!-- regimes -->', '<!-- end of the regimes -->'
PTYCHI_EPOCHS = 24
ONE_THREAD = ExecutionConfig(threads=1)
GROUPS = {
    'overlap': 'Overlap',
    'dose': 'Dose, step 6 px',
    'patterns': '512 patterns, a spiral with step 6 px, known probe',
    'probe': 'Wrong probe, step 6 px, 1e5 photons',
}
# nrmse, phase SSIM, processor seconds.
Figures: TypeAlias = tuple[float, float, float]
Method: TypeAlias = Callable[[KnownScan, bool], Figures]
Image = npt.NDArray[np.complex64]


def ours(
    engine: Engine,
    model: TrainedModel | str | None,
    settings: dict[str, int],
    known: KnownScan,
    refines: bool,
) -> Figures:
    """Return the figures of a method of this package."""
    inference = InferenceConfig.model_validate(
        {
            'reflections': 0,
            'estimate_errors': False,
            **settings,
            'update_probe': 'on' if refines else 'off',
        }
    )
    began = time.process_time()
    result = reconstruct(known.scan, model=model, inference=inference, engine=engine)
    seconds = time.process_time() - began
    # An empty sample where no light falls.
    found = np.nan_to_num(result.object_canvas, nan=1.0)
    top, left = result.origin_px
    found = found[-top or None :, -left or None :][: known.truth.shape[0], : known.truth.shape[1]]
    return (*scored(known, found), seconds)


def ptychi(python: str, folder: Path, known: KnownScan, refines: bool) -> Figures:
    """Return the figures of pty-chi's LSQML with momentum 0.5 and batches of 44 frames."""
    path = folder / 'scan.npz'
    save_npz(path, known.scan)
    script = Path(__file__).with_name('anchor_ptychi.py')
    command = [python, script, path, folder, PTYCHI_EPOCHS, '--advised', '--threads', 1]
    command += ['--update-probe'] if refines else []
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    with np.load(folder / f'{PTYCHI_EPOCHS}.npz') as saved:
        return (*scored(known, saved['object']), float(saved['processor_seconds']))


def scored(known: KnownScan, found: Image) -> tuple[float, float]:
    """Return nrmse and phase SSIM over the scanned field."""
    scores = score(found[known.core()], known.truth[known.core()])
    return scores.nrmse, scores.phase_ssim


def published(arguments: argparse.Namespace) -> TrainedModel:
    """Return the published network, trained on the 512 patterns where it is not there yet."""
    path = arguments.folder / 'cnn.safetensors'
    if not path.exists():
        began = time.process_time()
        found = train(
            patterns_512().scan,
            backend=arguments.backend,
            model=ModelConfig(architecture='cnn'),
            training=TrainingConfig(epochs=arguments.cnn_epochs),
            execution=ONE_THREAD,
        )
        print(f'{path.name}: {time.process_time() - began:.0f} s', file=sys.stderr, flush=True)
        save_model(path, found)
    return load_model(path)


def methods(arguments: argparse.Namespace) -> dict[str, Method]:
    """Return the methods by the heads of their columns."""
    engine = make_engine(arguments.backend, ONE_THREAD)
    cnn = published(arguments)
    # Imports and first traces are not counted.
    once = InferenceConfig(refine_iterations=1, cnn_refine_iterations=1)
    for model in (None, 'packaged', cnn):
        reconstruct(patterns_512().scan, model=model, inference=once, engine=engine)
    method = functools.partial(functools.partial, ours, engine)
    found: dict[str, Method] = {
        'physics, 12 passes': method(None, {'refine_iterations': 12}),
        'early network, 12 passes': method(None, {'refine_iterations': 12, 'early_network': 1}),
        'physics, 24 passes': method(None, {'refine_iterations': 24}),
        'early network, 24 passes': method(None, {'refine_iterations': 24, 'early_network': 1}),
        'packaged network': method('packaged', {'refine_iterations': 24}),
        'published network': method(cnn, {'cnn_refine_iterations': 0}),
        'published network, 8 passes': method(cnn, {'cnn_refine_iterations': 8}),
    }
    if arguments.ptychi:
        found['pty-chi LSQML'] = functools.partial(ptychi, arguments.ptychi, arguments.folder)
    return found


def measured(arguments: argparse.Namespace) -> dict[str, dict[str, dict[str, Figures]]]:
    """Return the means of each method's figures by group and row."""
    path = arguments.folder / 'regimes.json'
    kept = json.loads(path.read_text()) if path.exists() else {}
    by_name = methods(arguments)
    found: dict[str, dict[str, dict[str, Figures]]] = {}
    for regime in REGIMES:
        own = kept.setdefault(regime.key, {})
        missing = [title for title in by_name if title not in own]
        scans = regime.scans() if missing else []
        for title in missing:
            own[title] = averaged([by_name[title](one, regime.refines_probe) for one in scans])
            path.write_text(json.dumps(kept, indent=1))
        row = {title: tuple(own[title]) for title in by_name}
        found.setdefault(regime.group, {})[regime.name] = row
        print(line(regime.name, row), flush=True)
    return found


def averaged(figures: Sequence[Figures]) -> Figures:
    """Return the means over scans, a geometric one of errors."""
    errors, similarities, seconds = zip(*figures, strict=True)
    nrmse = math.exp(float(np.mean(np.log(errors))))
    return nrmse, float(np.mean(similarities)), float(np.mean(seconds))


def line(name: str, row: dict[str, Figures]) -> str:
    """Return a Markdown row."""
    cells = [f'{error:.3f} ({ssim:.2f}) {seconds:.2f} s' for error, ssim, seconds in row.values()]
    return f'| {" | ".join([name, *cells])} |'


def table(rows: dict[str, dict[str, Figures]]) -> str:
    """Return the Markdown table of a group."""
    titles = list(next(iter(rows.values())))
    heads = [f'| {" | ".join(["scan", *titles])} |', f'|{"---|" * (1 + len(titles))}']
    return '\n'.join([*heads, *(line(name, row) for name, row in rows.items())])


def main() -> None:
    """Train, reconstruct, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--cnn-epochs', type=int, default=60)
    parser.add_argument('--ptychi', help='a Python with pty-chi')
    parser.add_argument('--page', type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = measured(arguments)
    text = '\n\n'.join(f'{GROUPS[group]}:\n\n{table(rows)}' for group, rows in found.items())
    print(text)
    if arguments.page:
        write_between(arguments.page, BEGIN, END, f'\n{text}\n')


if __name__ == '__main__':
    main()
