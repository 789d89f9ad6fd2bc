"""Compare estimated errors and resolution of reconstructions with the ground truth.

usage: errors.py [--seeds 51,52,53] [--photons 1e3,1e4,1e5,1e6] [--backend pytorch]
                 [--page docs/quality.md]

Prints a Markdown table: the share of pixels whose error is within one estimated standard deviation,
68 % if that is right, and the resolution against where the object's correlation with the ground
truth falls below one half. With --page it is written into that page, between its markers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from page_tables import write_between

from ptychopinn_plugin import InferenceConfig, make_engine
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config.simulation import ObjectKind
from ptychopinn_plugin.metrics import ring_correlation_limit
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulationConfig, simulate

BEGIN, END = '<!-- measured table -->', '<!-- end of the table -->'
MARGIN_PX = 4
KINDS: Sequence[ObjectKind] = ('mixed', 'lines', 'cells')
HEADING = (
    '| photons a frame | object | amplitude within 1 sigma | phase within 1 sigma '
    '| rms error over estimate | nrmse '
    '| resolved (half period) | correlation with the ground truth 0.5 at | held out |\n'
    '|---|---|---|---|---|---|---|---|---|'
)


def measure(engine: Engine, config: SimulationConfig) -> list[float]:
    """Return the figures of one scan, in the order of the columns after the first two."""
    made = simulate(config)
    scan, truth = made.scan, made.ground_truth
    result = engine.reconstruct(scan, InferenceConfig(update_probe='off'), None, Monitor())
    quality = result.quality
    assert quality is not None
    rows, columns = scanned_core(scan.positions_px, result.origin_px, MARGIN_PX)
    part = truth[scanned_core(scan.positions_px, margin=MARGIN_PX)]
    found = aligned(result.object_canvas[rows, columns], part)
    error = (found - part) * np.conj(part) / np.abs(part)
    within = [
        np.mean(np.abs(error.real) < quality.amplitude_error[rows, columns]),
        np.mean(np.abs(error.imag / np.abs(part)) < quality.phase_error[rows, columns]),
    ]
    phase = quality.phase_error[rows, columns] * np.abs(part)
    expected = np.mean(quality.amplitude_error[rows, columns] ** 2 + phase**2)
    ratio = np.sqrt(np.mean(np.abs(error) ** 2) / expected)
    limit = ring_correlation_limit(found.astype(np.complex64), part)
    nrmse = np.linalg.norm(found - part) / np.linalg.norm(part)
    figures = (*within, ratio, nrmse, quality.resolution_px, 1 / limit, quality.held_out)
    return [float(figure) for figure in figures]


def table(engine: Engine, photons: Sequence[float], seeds: Sequence[int]) -> str:
    """Return the table, means over seeds."""
    lines = [HEADING]
    for dose in photons:
        for kind in KINDS:
            configs = [
                SimulationConfig(
                    rows=20, columns=20, object_kind=kind, photons_per_frame=dose, seed=seed
                )
                for seed in seeds
            ]
            found = np.mean([measure(engine, config) for config in configs], axis=0)
            amplitude, phase, ratio, nrmse, resolved, true, held_out = found
            lines.append(
                f'| {dose:.0e} | {kind} | {amplitude:.0%} | {phase:.0%} | {ratio:.2f} '
                f'| {nrmse:.4f} | {resolved:.1f} px | {true:.1f} px | {held_out:.2f} |'
            )
            print(lines[-1], flush=True)
    return '\n'.join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--seeds', default='51,52,53')
    parser.add_argument('--photons', default='1e3,1e4,1e5,1e6')
    parser.add_argument('--backend', default='pytorch', choices=('pytorch', 'tensorflow'))
    parser.add_argument('--page', type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    photons = [float(value) for value in options.photons.split(',')]
    seeds = [int(value) for value in options.seeds.split(',')]
    found = table(make_engine(options.backend), photons, seeds)
    print(f'{time.perf_counter() - started:.0f} s')
    if options.page is not None:
        write_between(options.page, BEGIN, END, found)


if __name__ == '__main__':
    main()
