"""Compare physics alone, the trained network and pty-chi: quality against seconds.

usage: compare.py [SCAN.npz ...] --folder FOLDER [--backend pytorch] [--model M.safetensors]
                  [--ptychi PYTHON] [--update-probe] [--repeats N] [--passes 5,8,...]

Prints a Markdown table; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scans import Case, case_of, learned_scans, tested_cases

from ptychopinn_plugin import (
    InferenceConfig,
    ModelConfig,
    TrainedModel,
    TrainingConfig,
    load_model,
    reconstruct,
    save_model,
    train,
)
from ptychopinn_plugin.metrics import score

PTYCHI_EPOCHS = '5,10,20,50'


@dataclass(frozen=True)
class Row:
    """One line of the table; a value that is not known is None."""

    case: str
    method: str
    seconds: float
    nrmse: float | None
    phase_ssim: float | None
    frc_half: float | None
    residual: float | None

    def __str__(self) -> str:
        """Return a Markdown row."""
        scores = (self.nrmse, self.phase_ssim, self.frc_half, self.residual)
        forms = ('.4f', '.3f', '.2f', '.5f')
        shown = ['' if s is None else format(s, f) for s, f in zip(scores, forms, strict=True)]
        cells = [self.case, self.method, f'{self.seconds:.2f}', *shown]
        return f'| {" | ".join(cells)} |'


def row(
    case: Case,
    method: str,
    seconds: float,
    canvas_object: npt.NDArray[np.complex64],
    residual: float | None,
) -> Row:
    """Score an object on the case's canvas."""
    if case.truth is None:
        return Row(case.name, method, seconds, None, None, None, residual)
    core = case.core()
    found = score(canvas_object[core], case.truth[core])
    return Row(case.name, method, seconds, found.nrmse, found.phase_ssim, found.frc_half, residual)


def ours(case: Case, arguments: argparse.Namespace, model: TrainedModel | None) -> Iterator[Row]:
    """Reconstruct with several numbers of passes, each from the start."""
    method = 'physics alone' if model is None else 'network'
    for passes in (int(number) for number in arguments.passes.split(',')):
        stages = InferenceConfig().stages if model is not None else 0
        spent = stages * InferenceConfig().stage_passes
        inference = InferenceConfig(
            refine_iterations=max(passes - spent, 0), update_probe=arguments.update_probe
        )
        results = [
            reconstruct(case.scan, model=model, backend=arguments.backend, inference=inference)
            for _ in range(arguments.repeats)
        ]
        seconds = statistics.median(result.seconds for result in results)
        last = results[-1]
        yield row(
            case,
            f'{method}, {passes} passes',
            seconds,
            last.object_canvas,
            float(last.residual[-1]),
        )


def ptychi(case: Case, arguments: argparse.Namespace) -> Iterator[Row]:
    """Reconstruct with pty-chi in its own environment."""
    out = arguments.folder / f'ptychi-{case.path.stem}'
    script = Path(__file__).with_name('anchor_ptychi.py')
    command = [arguments.ptychi, script, case.path, out, PTYCHI_EPOCHS]
    command += ['--update-probe'] if arguments.update_probe else []
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    for epochs in PTYCHI_EPOCHS.split(','):
        with np.load(out / f'{epochs}.npz') as saved:
            yield row(
                case,
                f'pty-chi LSQML, {epochs} epochs',
                float(saved['seconds']),
                saved['object'],
                None,
            )


def trained(arguments: argparse.Namespace) -> TrainedModel:
    """Load the model that was named, or train one and say how long it took."""
    if arguments.model is not None:
        return load_model(arguments.model)
    scans = learned_scans()
    began = time.perf_counter()
    model = train(
        scans,
        backend=arguments.backend,
        model=ModelConfig(),
        training=TrainingConfig(epochs=arguments.epochs),
    )
    seconds = time.perf_counter() - began
    print(f'trained on {len(scans)} scans in {seconds:.0f} s', file=sys.stderr, flush=True)
    save_model(arguments.folder / 'model.safetensors', model)
    return model


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scans', nargs='*', type=Path)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--backend', choices=['pytorch', 'tensorflow'], default='pytorch')
    parser.add_argument('--model', type=Path)
    parser.add_argument('--epochs', type=int, default=TrainingConfig().epochs)
    parser.add_argument('--ptychi')
    parser.add_argument('--update-probe', action='store_true')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--passes', default='5,8,12,24,48')
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    model = trained(arguments)
    named = [case_of(path) for path in arguments.scans]
    cases = named or tested_cases(arguments.folder)
    # The first call sets up the framework, which is nobody's reconstruction time.
    reconstruct(cases[0].scan, model=model, backend=arguments.backend)
    print('| scan | method | seconds | nrmse | phase SSIM | FRC 0.5 | residual |')
    print('|---|---|---|---|---|---|---|')
    for case in cases:
        rows = [*ours(case, arguments, None), *ours(case, arguments, model)]
        for one in rows:
            print(one, flush=True)
        if arguments.ptychi:
            for one in ptychi(case, arguments):
                print(one, flush=True)


if __name__ == '__main__':
    main()
