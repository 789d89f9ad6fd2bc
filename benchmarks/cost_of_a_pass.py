"""CPU time of a pass in units of the Fourier transforms that it needs anyway.

usage: cost_of_a_pass.py [--rows N] [--frame-size N] [--passes N]

The unit is one forward and one inverse transform of all frames, in batches that fit the cache.
Units and passes are measured in turn on one thread, in CPU time, and medians are printed, so that
other work on the machine hardly matters.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from ptychopinn_plugin import InferenceConfig, ScanData
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.fused.fused_table import functions_for
from ptychopinn_plugin.solver.prepare import prepare_solver

METHODS: dict[str, dict[str, Any]] = {
    'probe fixed': {'update_probe': 'off'},
    'probe refined': {'update_probe': 'on'},
    'probe and positions': {'update_probe': 'on', 'update_positions': 'on'},
    'auto': {'auto': True},
}
# Passes that are not measured: caches fill, and the noise model changes.
WARM_UP = 4
# Of a batch of the unit: 1 MiB.
UNIT_PIXELS = 2**17


def main() -> None:
    """Print the unit and the median cost of a pass for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=21)
    parser.add_argument('--frame-size', type=int, default=64)
    parser.add_argument('--passes', type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, size = arguments.rows, arguments.frame_size
    scan = simulate(SimulationConfig(rows=rows, columns=rows, frame_size=size)).scan
    transform = transforms(scan)
    with torch.no_grad():
        for method, settings in METHODS.items():
            solver = solver_for(scan, settings)
            for _ in range(WARM_UP):
                solver.one_pass()
            units, passes = [], []
            for _ in range(arguments.passes):
                units.append(seconds(transform))
                passes.append(seconds(solver.one_pass))
            unit = statistics.median(units)
            ratios = [one / unit for one in passes]
            print(
                f'{method}: {statistics.median(ratios):.2f} units a pass, mean '
                f'{statistics.mean(ratios):.2f} (unit {1e3 * unit:.1f} ms)'
            )


def solver_for(scan: ScanData, settings: dict[str, Any]) -> AcceleratedSolver:
    """Return a solver on the CPU."""
    ops, config = TorchOps(torch.device('cpu')), InferenceConfig.model_validate(settings)
    ops.fused_functions = functions_for(scan)
    return prepare_solver(ops, scan, config, lambda: None)


def transforms(scan: ScanData) -> Callable[[], None]:
    """Return a function that transforms all frames there and back, a few at a time."""
    frames, size = scan.frame_count, scan.frame_size
    batch = max(1, UNIT_PIXELS // size**2)
    waves = torch.randn((frames, size, size), dtype=torch.complex64).split(batch)

    def transform() -> None:
        for wave in waves:
            torch.fft.ifft2(torch.fft.fft2(wave, norm='ortho'), norm='ortho')

    return transform


def seconds(function: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    function()
    return time.process_time() - began


if __name__ == '__main__':
    main()
