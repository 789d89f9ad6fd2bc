"""Frames a second and quality of the published network, by groups and precision, in one backend.

usage: network_speed.py BACKEND MODEL.safetensors SCAN.npz [--threads 1] [--repeats 3]
                        [--passes 0,8]

Frames of the scan over processor seconds of the whole reconstruction, errors not estimated and the
probe held. The variants take turns, so that other work on the machine slows all of them alike; the
table has the median of the repeats, and the quality where the scan's object guess is the truth.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path

from scans import Case, case_of, scored

from ptychopinn_plugin import ExecutionConfig, InferenceConfig, load_model, make_engine, reconstruct
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.io.model_file import TrainedModel

PRECISIONS = ('float32', 'bfloat16')
HEADS = ('groups', 'precision', 'passes', 'frames a processor second', 'phase SSIM', 'nrmse')


def build_engine(arguments: argparse.Namespace, precision: str) -> Engine:
    """Return an engine whose network computes in a precision."""
    fields = {
        'backend': arguments.backend,
        'threads': arguments.threads,
        'inference_precision': precision,
    }
    return make_engine(execution=ExecutionConfig.model_validate(fields))


def reconstructed(
    engine: Engine, model: TrainedModel, case: Case, grouping: str, passes: int
) -> tuple[float, dict[str, float]]:
    """Return the processor seconds of a reconstruction and the scores of its object."""
    inference = InferenceConfig.model_validate(
        {
            'grouping': grouping,
            'cnn_refine_iterations': passes,
            'estimate_errors': False,
            'update_probe': 'off',
        }
    )
    began = time.process_time()
    result = reconstruct(case.scan, model=model, inference=inference, engine=engine)
    return time.process_time() - began, scored(case, result.object_canvas)


def main() -> None:
    """Measure every variant in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('backend', choices=['pytorch', 'tensorflow'])
    parser.add_argument('model', type=Path)
    parser.add_argument('scan', type=Path)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--passes', default='0,8')
    arguments = parser.parse_args()
    model, case = load_model(arguments.model), case_of(arguments.scan)
    passes = [int(number) for number in arguments.passes.split(',')]
    engines = {precision: build_engine(arguments, precision) for precision in PRECISIONS}
    for engine in engines.values():
        # Import and first trace do not count.
        reconstructed(engine, model, case, 'disjoint', max(passes))
    runs: dict[tuple[str, str, int], list[tuple[float, dict[str, float]]]] = {
        variant: [] for variant in itertools.product(('nearest', 'disjoint'), PRECISIONS, passes)
    }
    for _ in range(arguments.repeats):
        for (grouping, precision, count), found in runs.items():
            found.append(reconstructed(engines[precision], model, case, grouping, count))
    print(f'| {" | ".join(HEADS)} |\n|{"---|" * len(HEADS)}')
    for (grouping, precision, count), found in runs.items():
        rate = case.scan.frame_count / statistics.median(seconds for seconds, _ in found)
        scores = found[-1][1]
        cells = [f'{scores[name]:.3f}' for name in ('phase_ssim', 'nrmse') if name in scores]
        print(' | '.join([f'| {grouping}', precision, str(count), f'{rate:.0f}', *cells]) + ' |')


if __name__ == '__main__':
    main()
