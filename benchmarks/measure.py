"""Reconstruct the scans of a comparison with one backend, in a process of its own.

usage: measure.py BACKEND OUT.json SCAN.npz... [--cnn M] [--passes 8,24]
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
from ptychopinn_plugin.io.model_file import packaged_model


def plans(
    arguments: argparse.Namespace,
) -> Iterator[tuple[str, InferenceConfig, TrainedModel | None]]:
    """Yield what is compared: the method's name, how it reconstructs, its model."""
    probe: dict[str, Any] = {'update_probe': 'on' if arguments.update_probe else 'off'}
    # Resolution and errors are no part of what the others compute.
    probe['estimate_errors'] = False
    counts = [int(number) for number in arguments.passes.split(',')]
    for passes in counts:
        inference = InferenceConfig(refine_iterations=passes, **probe)
        yield f'physics alone, {passes} passes', inference, None
    last = InferenceConfig(refine_iterations=counts[-1], **probe)
    yield f'with the network of the package, {counts[-1]} passes', last, packaged_model()
    if arguments.cnn is not None:
        cnn = load_model(arguments.cnn)
        for passes in (0, *counts):
            inference = InferenceConfig(cnn_refine_iterations=passes, **probe)
            then = f', then {passes} passes' if passes else ''
            yield f'published network{then}', inference, cnn


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
    parser.add_argument('--cnn', type=Path)
    parser.add_argument('--passes', default='8,24')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--update-probe', action='store_true')
    arguments = parser.parse_args()
    cases = [case_of(path) for path in arguments.scans]
    methods = list(plans(arguments))
    # Import and first trace: what the first call of a worker pays.
    began = time.perf_counter()
    engine = make_engine(arguments.backend)
    brief = InferenceConfig(refine_iterations=1)
    reconstruct(cases[0].scan, model=None, inference=brief, engine=engine)
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
