"""Compare starts of the object where frames overlap little.

usage: sparse_scans.py [--backend pytorch] [--page docs/benchmarks.md]

Reconstructs simulated scans with steps of 12 to 26 px (the probe's diameter is 26 px) with 24
passes: from an empty object, with the network after the second pass, from reflections, and from
reflections with the network of the package at the end. "From the object" are 24 passes that start
from the true object: what photon noise and the prior leave. Prints a Markdown table, nrmse (phase
SSIM) as means over four objects, and processor seconds. With --page the table is written into that
page, between its markers.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from page_tables import write_between
from regime_scans import KnownScan, field_settings, simulated

from ptychopinn_plugin import Engine, ExecutionConfig, InferenceConfig, make_engine, reconstruct
from ptychopinn_plugin.metrics import score

BEGIN, END = '<!-- sparse scans -->', '<!-- end of the sparse scans -->'
# Seeds on which nothing was chosen.
OBJECTS = (('mixed', 921), ('lines', 922), ('cells', 923), ('grf', 924))
STEPS = (12, 18, 22, 26)
PHOTONS = ('1e6', '1e4')
DEFOCUS_ERROR = 0.1

Figures: TypeAlias = tuple[float, float, float]


class Method(NamedTuple):
    """A column: its head, settings, model, and what is changed of the scan."""

    title: str
    settings: dict[str, Any]
    model: str | None = None
    change: Callable[[KnownScan], KnownScan] = lambda known: known


def from_the_object(known: KnownScan) -> KnownScan:
    """Return a scan that starts from its true object."""
    return dataclasses.replace(
        known, scan=dataclasses.replace(known.scan, object_guess=known.truth)
    )


METHODS = (
    Method('empty', {'reflections': 0}),
    Method('early network', {'reflections': 0, 'early_network': True}),
    Method('reflections', {}),
    Method('reflections, network', {}, 'packaged'),
    Method('from the object', {'reflections': 0, 'initial': 'product'}, change=from_the_object),
)


def scans(step_px: float, photons: float, defocus_error: float) -> list[KnownScan]:
    """Simulate the scans of a row."""
    settings = field_settings(step_px, photons, defocus_error)
    return [simulated(settings | {'object_kind': kind, 'seed': seed}) for kind, seed in OBJECTS]


def figures(engine: Engine, method: Method, known: KnownScan, update_probe: str) -> Figures:
    """Return nrmse, phase SSIM and processor seconds of a method."""
    inference = InferenceConfig.model_validate(
        {'estimate_errors': False, 'update_probe': update_probe, **method.settings}
    )
    scan = method.change(known).scan
    began = time.process_time()
    result = reconstruct(scan, model=method.model, inference=inference, engine=engine)
    seconds = time.process_time() - began
    top, left = result.origin_px
    found = np.nan_to_num(result.object_canvas, nan=1.0)
    found = found[-top or None :, -left or None :][: known.truth.shape[0], : known.truth.shape[1]]
    scores = score(found[known.core()], known.truth[known.core()])
    return scores.nrmse, scores.phase_ssim, seconds


def cell(found: list[Figures]) -> str:
    """Return the means of some figures, a geometric one of errors."""
    errors, similarities, seconds = zip(*found, strict=True)
    nrmse = math.exp(float(np.mean(np.log(errors))))
    return f'{nrmse:.3f} ({np.mean(similarities):.2f}) {np.mean(seconds):.2f} s'


def row(engine: Engine, name: str, known: list[KnownScan], update_probe: str) -> str:
    """Return the Markdown row of some scans."""
    cells = [
        cell([figures(engine, method, one, update_probe) for one in known]) for method in METHODS
    ]
    line = f'| {" | ".join([name, *cells])} |'
    print(line, flush=True)
    return line


def main() -> None:
    """Reconstruct, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--page', type=Path)
    arguments = parser.parse_args()
    engine = make_engine(arguments.backend, ExecutionConfig(threads=1))
    # Imports and first traces are not counted.
    figures(engine, METHODS[3], scans(STEPS[0], 1e6, 0.0)[0], 'off')
    head = ['| scan | ' + ' | '.join(method.title for method in METHODS) + ' |']
    lines = [*head, '|' + '---|' * (1 + len(METHODS))]
    for error, update_probe, probe in ((0.0, 'off', ''), (DEFOCUS_ERROR, 'on', ', 10 % defocus')):
        for photons in PHOTONS:
            for step in STEPS:
                name = f'{step} px, {photons} photons{probe}'
                lines.append(row(engine, name, scans(step, float(photons), error), update_probe))
    if arguments.page:
        write_between(arguments.page, BEGIN, END, '\n' + '\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
