"""What the model of the package gains over physics alone, in errors and in processor time.

usage: gain_of_the_model.py [--seed 741] [--backend pytorch] [--page docs/benchmarks.md]

441 frames of 64 x 64 a scan, 24 passes. "Refined" starts from a probe whose defocus is 10 % off.
Prints a Markdown table; with --page it is written into that page, between its markers. Seconds are
those of the processor, medians of three runs in turn.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from page_tables import write_between

from ptychopinn_plugin import InferenceConfig, make_engine, reconstruct
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.metrics import Score, score
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate

BEGIN, END = '<!-- gain of the model -->', '<!-- end of the gain of the model -->'
KINDS = ('mixed', 'lines', 'grf')
PHOTONS = {'known': (1e3, 1e4, 1e5, 1e6), 'refined': (1e3, 1e4)}
DEFOCUS_ERROR = 0.1
RUNS = 3
HEADING = (
    '| object | photons a frame | probe | nrmse physics | with network | phase SSIM physics '
    '| with network | seconds physics | with network |\n|---|---|---|---|---|---|---|---|---|'
)


class Measured(NamedTuple):
    """A method on a scan: score of the scanned area and processor seconds."""

    score: Score
    seconds: float


def measured(engine: Engine, made: SimulatedScan, probe: str) -> tuple[Measured, Measured]:
    """Reconstruct a scan by physics alone and with the model of the package."""
    inference = InferenceConfig(update_probe='off' if probe == 'known' else 'on')
    seconds: dict[str, list[float]] = {'none': [], 'packaged': []}
    scores: dict[str, Score] = {}
    for _, model in itertools.product(range(RUNS), seconds):
        started = time.process_time()
        result = reconstruct(made.scan, model=model, inference=inference, engine=engine)
        seconds[model].append(time.process_time() - started)
        found = result.object_canvas[scanned_core(made.scan.positions_px, result.origin_px)]
        truth = made.ground_truth[scanned_core(made.scan.positions_px)]
        scores[model] = score(found, truth)
    physics, network = (
        Measured(scores[model], statistics.median(seconds[model])) for model in seconds
    )
    return physics, network


def table(engine: Engine, seed: int) -> str:
    """Return the table of one seed."""
    lines = [HEADING]
    for probe, doses in PHOTONS.items():
        for photons, kind in itertools.product(doses, KINDS):
            settings = {'object_kind': kind, 'photons_per_frame': photons, 'seed': seed}
            if probe == 'refined':
                settings['probe_guess_error'] = DEFOCUS_ERROR
            config = SimulationConfig.model_validate({'rows': 21, 'columns': 21, **settings})
            both = measured(engine, simulate(config), probe)
            cells = [kind, f'{photons:.0e}', probe]
            cells += [f'{one.score.nrmse:.4f}' for one in both]
            cells += [f'{one.score.phase_ssim:.3f}' for one in both]
            cells += [f'{one.seconds:.2f}' for one in both]
            lines.append(f'| {" | ".join(cells)} |')
            print(lines[-1], flush=True)
    return '\n'.join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--seed', type=int, default=741)
    parser.add_argument('--backend', default='pytorch', choices=('pytorch', 'tensorflow'))
    parser.add_argument('--page', type=Path)
    options = parser.parse_args()
    found = table(make_engine(options.backend), options.seed)
    if options.page is not None:
        write_between(options.page, BEGIN, END, found)


if __name__ == '__main__':
    main()
