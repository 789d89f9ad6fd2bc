"""CPU time of a pass in units of the Fourier transforms that it needs anyway.

usage: cost_of_a_pass.py [--rows N] [--frame-size N] [--passes N] [--backend NAME] [--general]

The unit is one forward and one inverse transform of all frames by PyTorch, in batches that fit the
cache.
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
from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
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
    parser.add_argument('--backend', choices=('pytorch', 'tensorflow'), default='pytorch')
    parser.add_argument('--general', action='store_true', help='without fused loops')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, size = arguments.rows, arguments.frame_size
    scan = simulate(SimulationConfig(rows=rows, columns=rows, frame_size=size)).scan
    transform = transforms(scan)
    with torch.no_grad():
        for method, settings in METHODS.items():
            ops = cpu_ops(arguments.backend)
            if not arguments.general:
                ops.fused_functions = functions_for(scan)
            solver = solver_for(scan, settings, ops)
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


def cpu_ops(backend: str) -> ProcessorOps:
    """Return the array operations of a backend on the CPU, with few threads."""
    if backend == 'pytorch':
        return TorchCpuOps()
    from ptychopinn_plugin.backends.tensorflow.cpu_ops import TensorFlowCpuOps

    return TensorFlowCpuOps('/CPU:0')


def solver_for(scan: ScanData, settings: dict[str, Any], ops: ProcessorOps) -> AcceleratedSolver:
    """Return a solver."""
    return prepare_solver(ops, scan, InferenceConfig.model_validate(settings), lambda: None)


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
