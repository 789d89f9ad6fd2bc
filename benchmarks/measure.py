"""Reconstruct the scans of a comparison with one backend, in a process of its own.

usage: measure.py BACKEND OUT.json SCAN.npz... [--unrolled M] [--cnn M] [--passes 8,24]
                  [--repeats N] [--update-probe]

Writes a list of rows, one a scan and method; `compare.py` calls it and makes the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scans import Case, case_of, scored

from ptychopinn_plugin import (
    Engine,
    InferenceConfig,
    TrainedModel,
    load_model,
    make_engine,
    reconstruct,
)


def plans(arguments: argparse.Namespace) -> Iterator[tuple[str, InferenceConfig, Path | None]]:
    """Yield what is compared: the method's name, how it reconstructs, its model."""
    probe = {'update_probe': arguments.update_probe}
    counts = [int(number) for number in arguments.passes.split(',')]
    for passes in counts:
        yield (
            f'physics alone, {passes} passes',
            InferenceConfig(refine_iterations=passes, **probe),
            None,
        )
    if arguments.unrolled is not None:
        own = InferenceConfig()
        for passes in counts:
            rest = max(passes - own.stages * own.stage_passes, 0)
            inference = InferenceConfig(refine_iterations=rest, **probe)
            yield f'unrolled network, {passes} passes', inference, arguments.unrolled
    if arguments.cnn is not None:
        yield 'published network', InferenceConfig(**probe), arguments.cnn
        for passes in counts:
            inference = InferenceConfig(cnn_refine_iterations=passes, **probe)
            yield f'published network, {passes} passes', inference, arguments.cnn


def fits(model: TrainedModel, case: Case) -> bool:
    """Say whether a model can work on a scan; the published network knows one frame size."""
    manifest = model.manifest
    return manifest.model.architecture != 'cnn' or manifest.frame_size == case.scan.frame_size


def row(
    case: Case,
    method: str,
    inference: InferenceConfig,
    model: TrainedModel | None,
    engine: Engine,
    repeats: int,
) -> dict[str, Any]:
    """Return the median seconds of several reconstructions, and the last one's scores."""
    results = [
        reconstruct(case.scan, model=model, inference=inference, engine=engine)
        # Shapes that are new to a framework cost it time once: the first one does not count.
        for _ in range(1 + repeats)
    ][1:]
    return {
        'case': str(case.path),
        'method': method,
        'seconds': statistics.median(result.seconds for result in results),
        'residual': float(results[-1].residual[-1]),
        **scored(case, results[-1].object_canvas),
    }


def main() -> None:
    """Measure every scan with every method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('backend', choices=['pytorch', 'tensorflow'])
    parser.add_argument('out', type=Path)
    parser.add_argument('scans', nargs='+', type=Path)
    parser.add_argument('--unrolled', type=Path)
    parser.add_argument('--cnn', type=Path)
    parser.add_argument('--passes', default='8,12,24,48')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--update-probe', action='store_true')
    arguments = parser.parse_args()
    cases = [case_of(path) for path in arguments.scans]
    methods = [(name, how, m and load_model(m)) for name, how, m in plans(arguments)]
    # Import and first trace: what the first call of a worker pays.
    began = time.perf_counter()
    engine = make_engine(arguments.backend)
    reconstruct(cases[0].scan, inference=InferenceConfig(refine_iterations=1), engine=engine)
    first = time.perf_counter() - began
    rows = [
        row(case, name, inference, model, engine, arguments.repeats)
        for case in cases
        for name, inference, model in methods
        if model is None or fits(model, case)
    ]
    arguments.out.write_text(json.dumps({'first_call': first, 'rows': rows}, indent=1))


if __name__ == '__main__':
    main()
