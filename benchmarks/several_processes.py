"""Bytes, balance and time of a reconstruction by several processes on this machine.

usage: several_processes.py [--side 64] [--processes 1 2 4] [--passes 3]

A jittered raster of side x side frames of 64 x 64 pixels is reconstructed by physics, with a probe
that is refined. Each process (gloo, one thread) counts the bytes that it sends and its frames. The
time of a process is that of its processor, for the cores may be shared.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from ptychopinn_plugin import InferenceConfig
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.parts.scan_part import ScanPart
from ptychopinn_plugin.solver.prepare import prepare_solver

SIZE, STEP_PX = 64, 8.0


def main() -> None:
    """Measure each number of processes; print a table."""
    arguments = _parser().parse_args()
    if arguments.part:
        _measure_part(arguments.side, arguments.passes)
        return
    print(
        '| processes | frames | largest subset | strips | prior | spectrum | canvas | processor |'
    )
    print('|---|---|---|---|---|---|---|---|')
    for count in arguments.processes:
        side = arguments.side * count**0.5 if arguments.weak else arguments.side
        _print_row(_run(count, round(side), arguments.passes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--side', type=int, default=64, help='frames along a side of the scan')
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--passes', type=int, default=3)
    parser.add_argument('--weak', action='store_true', help='as many frames for each process')
    parser.add_argument('--part', action='store_true', help=argparse.SUPPRESS)
    return parser


def _run(count: int, side: int, passes: int) -> list[dict[str, float]]:
    """Reconstruct in some processes; return what each has measured."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        port = one.getsockname()[1]
    words = [sys.executable, __file__, '--part', '--side', str(side), '--passes', str(passes)]
    place = {'WORLD_SIZE': str(count), 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    started = [
        subprocess.Popen(
            words,
            env=os.environ | place | {'RANK': str(rank), 'LOCAL_RANK': str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


def _print_row(parts: list[dict[str, float]]) -> None:
    """Print means and extremes over the processes."""
    frames = [part['frames'] for part in parts]
    mean = {name: np.mean([part[name] for part in parts]) for name in parts[0]}
    largest = max(part['imbalance'] for part in parts)
    cells = (
        len(parts),
        f'{min(frames):.0f} to {max(frames):.0f}',
        f'{largest:.2f} of the mean',
        *(f'{mean[name] / 1e6:.3f} MB' for name in ('strips', 'prior', 'spectrum')),
        f'{mean["pixels"] / 1e6:.3f} M pixels',
        f'{1e3 * mean["seconds"]:.2f} ms a frame and pass',
    )
    print('|', ' | '.join(str(cell) for cell in cells), '|', flush=True)


def _measure_part(side: int, passes: int) -> None:
    """Reconstruct as one of the processes; print what was measured as JSON."""
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.backends.pytorch.process_group import join_group
    from ptychopinn_plugin.backends.ranks import ProcessRank

    torch.set_num_threads(1)
    place, device = ProcessRank.of_environment(), torch.device('cpu')
    group = join_group(place, device) if place.size > 1 else None
    config = InferenceConfig(update_probe='on', refine_iterations=passes)
    with torch.no_grad():
        solver = prepare_solver(
            TorchOps(device), _scan(side), config, lambda: None, communicator=group
        )
        print(json.dumps(_passes(solver, passes)))
    if group is not None:
        group.leave()


def _scan(side: int) -> ScanData:
    return simulate(
        SimulationConfig(frame_size=SIZE, rows=side, columns=side, step_px=STEP_PX)
    ).scan


def _passes(solver: AcceleratedSolver, passes: int) -> dict[str, float]:
    """Do passes; return frames, bytes sent by kind, and processor seconds a frame and pass."""
    problem, prior = solver.problem, solver.prior
    part = problem.partition if isinstance(problem.partition, ScanPart) else None
    own = [sum(len(batch.frames) for batch in subset) for subset in problem.subsets]
    processes = 1 if part is None else part.communicator.size
    mean = problem.scan.frame_count / (len(own) * processes)
    began = time.process_time()
    for _ in range(passes):
        solver.one_pass()
    seconds = (time.process_time() - began) / passes / sum(own)
    assert prior is not None
    ops, image, dose = problem.ops, solver.canvas_object, solver.direction()[1]
    return {
        'frames': sum(own),
        'imbalance': max(own) / mean,
        'strips': _sent(part, lambda: problem.sweep(solver.state.now, 0, with_probe=True)),
        'prior': _sent(part, lambda: prior.apply(ops, problem.partition, image, 0.5)),
        'spectrum': _sent(part, lambda: prior.estimate(ops, problem.partition, image, dose)),
        'pixels': float(np.prod(problem.canvas.shape)),
        'seconds': seconds,
    }


def _sent(part: ScanPart | None, work: Callable[[], object]) -> int:
    """Return the bytes of images that this process sends in some work."""
    before = 0 if part is None else part.bytes_sent
    work()
    return 0 if part is None else part.bytes_sent - before


if __name__ == '__main__':
    main()
