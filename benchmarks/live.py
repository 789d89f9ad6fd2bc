"""Delay and frame rate of a live reconstruction.

usage: live.py [--frames 1000 20000] [--rate 1000] [--size 64] [--backend pytorch] [--file]

A simulated scan of 1,024 frames (uint16) is recorded again and again, side by side, at a given
rate. Printed are: how many frames the picture was behind at most; seconds from the last frame to a
picture with all frames, and of the CPU of this process meanwhile, which is what the delay would be
on a machine of its own; seconds of the CPU in all; passes over windows; resident memory; and the
error of the object of the first 1,024 frames.

With --file another process writes the frames to a growing HDF5 file (SWMR), which is followed as
`ptychopinn watch` does, without pictures: then the delay is that behind the writer's last flush.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, MutableSequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import (
    ExecutionConfig,
    InferenceConfig,
    LiveReconstruction,
    SimulatedScan,
    SimulationConfig,
    make_engine,
    simulate,
)
from ptychopinn_plugin.io.growing_dataset import GrowingDataset
from ptychopinn_plugin.io.growing_frames import FramesOfDataset
from ptychopinn_plugin.io.growing_positions import open_positions
from ptychopinn_plugin.live.watcher import Watcher
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.scan.canvas import scanned_core

SIDE, TICK_S = 32, 0.01
FRAMES, POSITIONS = '/entry/data/data', '/entry/positions'


def repeated_positions(simulated: SimulatedScan, count: int) -> npt.NDArray[np.float64]:
    """Return positions of a scan that is recorded side by side, (count, 2)."""
    positions = simulated.scan.positions_px
    height, width = simulated.ground_truth.shape
    numbers = np.arange(count)
    copies = numbers // len(positions)
    columns = int(np.ceil(np.sqrt(copies.max() + 1)))
    offsets = np.stack([copies // columns * height, copies % columns * width], axis=1)
    return np.asarray(positions[numbers % len(positions)] + offsets)


def parts(count: int, rate: float) -> Iterator[npt.NDArray[np.int64]]:
    """Yield numbers of frames as time passes."""
    began, done = time.perf_counter(), 0
    while done < count:
        due = min(count, int((time.perf_counter() - began) * rate))
        if due > done:
            yield np.arange(done, due)
            done = due
        time.sleep(TICK_S)


def write_file(
    path: Path,
    counts: npt.NDArray[Any],
    positions: npt.NDArray[Any],
    rate: float,
    times: MutableSequence[float],
) -> None:
    """Record a scan as a growing HDF5 file; tell when it began and ended."""
    size = counts.shape[1]
    with h5py.File(path, 'w', libver='latest') as file:
        shape, chunks = (0, size, size), (1, size, size)
        data = file.create_dataset(
            FRAMES, shape, counts.dtype, maxshape=(None, size, size), chunks=chunks
        )
        points = file.create_dataset(POSITIONS, (0, 2), 'f8', maxshape=(None, 2), chunks=(512, 2))
        file.swmr_mode = True
        times[0] = time.perf_counter()
        for numbers in parts(len(positions), rate):
            for dataset, values in (
                (data, counts[numbers % len(counts)]),
                (points, positions[numbers]),
            ):
                dataset.resize(int(numbers[-1]) + 1, 0)
                dataset[int(numbers[0]) :] = values
                dataset.flush()
        times[1] = time.perf_counter()


def resident_mib() -> float:
    """Return the resident memory of this process."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith('VmRSS'))


class Recorded(NamedTuple):
    """How a scan went.

    Attributes:
        behind: frames that were not in the picture, at most.
        began: when the first frame came, seconds.
        ended: when the last frame came.
        seen: when the last frame was in the picture.
        late_cpu_s: seconds of the CPU between these two.
    """

    behind: int
    began: float
    ended: float
    seen: float
    late_cpu_s: float


def feed(
    live: LiveReconstruction, counts: npt.NDArray[Any], positions: npt.NDArray[Any], rate: float
) -> Recorded:
    """Append frames at a rate."""
    behind, began = 0, time.perf_counter()
    for numbers in parts(len(positions), rate):
        live.append(counts[numbers % len(counts)], positions[numbers])
        behind = max(behind, live.frame_count - live.frames_in_picture)
    ended, cpu = time.perf_counter(), time.process_time()
    live.wait()
    return Recorded(behind, began, ended, time.perf_counter(), time.process_time() - cpu)


def follow(
    live: LiveReconstruction, counts: npt.NDArray[Any], positions: npt.NDArray[Any], rate: float
) -> Recorded:
    """Follow a file that another process writes."""
    context = multiprocessing.get_context('spawn')
    # Clocks of different processes are the same one on Linux.
    times = context.Array('d', 2)
    behind, late = 0, 0.0

    def look() -> bool:
        nonlocal behind, late
        behind = max(behind, live.frame_count - live.frames_in_picture)
        late = late or (time.process_time() if times[1] else 0.0)
        return False

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'scan.h5'
        writer = context.Process(target=write_file, args=(path, counts, positions, rate, times))
        writer.start()
        Watcher(
            live,
            FramesOfDataset(GrowingDataset(path, (FRAMES,))),
            open_positions(f'{path}:{POSITIONS}'),
            show=lambda: None,
            should_stop=look,
            expected=len(positions),
        ).follow()
        late = late or time.process_time()
        live.wait()
        seen, late_cpu_s = time.perf_counter(), time.process_time() - late
        writer.join()
    return Recorded(behind, times[0], times[1], seen, late_cpu_s)


def error(live: LiveReconstruction, simulated: SimulatedScan) -> float:
    """Return the error of the first copy of the object, NRMSE."""
    result = live.current()
    assert result is not None
    core = scanned_core(simulated.scan.positions_px, margin=4)
    own = scanned_core(simulated.scan.positions_px, result.origin_px, margin=4)
    return score(result.object_canvas[own], simulated.ground_truth[core]).nrmse


def measure(arguments: argparse.Namespace, count: int) -> str:
    """Return a row of the table."""
    simulated = simulate(
        SimulationConfig(rows=SIDE, columns=SIDE, frame_size=arguments.size, seed=3)
    )
    counts = simulated.scan.counts.astype(np.uint16)
    positions = repeated_positions(simulated, count)
    engine = make_engine(arguments.backend, ExecutionConfig(threads=arguments.threads))
    settings = {'engine': engine, 'inference': InferenceConfig()}
    # What is imported and traced once is no part of it.
    with LiveReconstruction(simulated.scan.probe, **settings) as live:
        # Of several sizes: a framework traces what changes.
        for some in np.split(np.arange(len(counts)), [100, 500]):
            live.append(counts[some], simulated.scan.positions_px[some])
            live.wait()
    with LiveReconstruction(simulated.scan.probe, **settings) as live:
        cpu = time.process_time()
        take = follow if arguments.file else feed
        went = take(live, counts, positions, arguments.rate)
        cpu = time.process_time() - cpu
        state = live._loop.state
        passes = 0 if state is None else len(state.residuals)
        figures = (
            count,
            f'{count / (went.ended - went.began):.0f}',
            went.behind,
            f'{went.seen - went.ended:.2f}',
            f'{went.late_cpu_s:.2f}',
            f'{cpu:.1f}',
            f'{1000 * cpu / count:.2f}',
            passes,
            f'{resident_mib():.0f}',
            f'{error(live, simulated):.3f}',
        )
    return '| ' + ' | '.join(map(str, figures)) + ' |'


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--frames', type=int, nargs='+', default=[1000, 20000])
    parser.add_argument('--rate', type=float, default=1000.0)
    parser.add_argument('--size', type=int, default=64)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--file', action='store_true')
    arguments = parser.parse_args()
    print('| frames | rate [1/s] | behind at most | delay [s] | CPU of the delay [s] ', end='')
    print('| CPU [s] | CPU a frame [ms] | passes | resident [MiB] | NRMSE |')
    print('|---|---|---|---|---|---|---|---|---|---|')
    for count in arguments.frames:
        print(measure(arguments, count), flush=True)


if __name__ == '__main__':
    main()
