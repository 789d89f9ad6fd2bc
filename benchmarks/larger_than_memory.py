"""Memory and time of reconstructions whose frames are in memory, or stay in their file.

usage: larger_than_memory.py [--frames 1000 10000] [--passes 3] [--backend pytorch] [--folder F]
       larger_than_memory.py --draw FIGURES.jsonl PLOT.png

Scans of 128 x 128 pixels (uint16) are simulated chunk by chunk and written to uncompressed .npz
files. A process of its own reconstructs each, once from memory and once from its file, and a line
of JSON is printed for each, from which --draw makes a plot of memory and time per frame. Memory is
the largest resident size without pages of files (RssAnon + RssShmem of Linux), sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from scipy.fft import fft2

from ptychopinn_plugin import InferenceConfig, load_scan, make_engine, reconstruct
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.simulation.probe import make_probe

SIZE, STEP_PX, PHOTONS, TOGETHER = 128, 5.0, 1e6, 64


class PassTimes(Monitor):
    """Keeps when each pass ended, and the seconds of the processor until then."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.cpu_times: list[float] = []

    def on_progress(self, progress: Progress) -> None:
        """Keep the times."""
        self.times.append(time.perf_counter())
        self.cpu_times.append(time.process_time())


class PeakMemory(threading.Thread):
    """Samples the resident memory that is no page of a file, MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_mib, self.peak_mib = _resident_mib(), 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Sample until the end."""
        while not self.ended.wait(0.02):
            self.peak_mib = max(self.peak_mib, _resident_mib())


def _resident_mib() -> float:
    lines = Path('/proc/self/status').read_text().splitlines()
    fields = dict(line.split(':', 1) for line in lines)
    return sum(int(fields[name].split()[0]) for name in ('RssAnon', 'RssShmem')) / 1024


def write_scan(path: Path, frames: int) -> None:
    """Simulate a scan on a jittered square raster and write it, some frames at a time."""
    rng = np.random.default_rng(0)
    side = math.ceil(math.sqrt(frames))
    rows, columns = np.divmod(np.arange(frames), side)
    positions = STEP_PX * np.stack([rows, columns], 1) + rng.uniform(-1, 1, (frames, 2))
    corners = np.rint(positions - positions.min(axis=0)).astype(int)
    coarse = rng.normal(size=(2, *(corners.max(axis=0) + SIZE) // 8 + 2))
    fine = np.kron(coarse, np.ones((8, 8)))
    canvas = np.exp(-0.1 * np.abs(fine[0]) + 0.5j * fine[1]).astype(np.complex64)
    probe = simulated_probe()
    arrays = {
        'xcoords': corners[:, 1] + float(SIZE // 2),
        'ycoords': corners[:, 0] + float(SIZE // 2),
        'probeGuess': probe,
        'objectGuess': np.ones(canvas.shape, np.complex64),
    }
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f'{name}.npy', 'w') as member:
                np.lib.format.write_array(member, np.asarray(array))
        with archive.open('diff3d.npy', 'w', force_zip64=True) as member:
            header = {'descr': '<u2', 'fortran_order': False, 'shape': (frames, SIZE, SIZE)}
            np.lib.format.write_array_header_1_0(member, header)
            for first in range(0, frames, TOGETHER):
                some = corners[first : first + TOGETHER]
                patches = np.stack([canvas[y : y + SIZE, x : x + SIZE] for y, x in some])
                waves = fft2(probe * patches, norm='ortho')
                mean = np.fft.fftshift(np.abs(waves), axes=(1, 2)) ** 2
                # Close enough to Poisson counts for memory and time, at a fifth of the seconds.
                noise = rng.standard_normal(mean.shape, np.float32)
                counts = np.rint(mean + np.sqrt(mean) * noise)
                member.write(np.clip(counts, 0, 65534).astype('<u2').tobytes())


def simulated_probe() -> npt.NDArray[np.complex64]:
    """Return a defocused zone-plate probe, complex64 (N, N)."""
    probe = make_probe(SIZE, 1, np.random.default_rng(0))[0]
    power = float(np.sum(np.abs(probe) ** 2))
    return (probe * math.sqrt(PHOTONS / power)).astype(np.complex64)


def measure(path: Path, frames_in_memory: str, backend: str, passes: int) -> dict[str, float]:
    """Reconstruct a scan and return what it took."""
    memory, monitor = PeakMemory(), PassTimes()
    memory.start()
    # Imports of the framework are no matter of the frames.
    engine = make_engine(backend)
    start, start_cpu = time.perf_counter(), time.process_time()
    scan = load_scan(path, frames_in_memory='yes' if frames_in_memory == 'yes' else 'no')
    loaded = time.perf_counter()
    inference = InferenceConfig(refine_iterations=passes, update_probe='off')
    result = reconstruct(scan, engine=engine, inference=inference, monitor=monitor)
    end = time.perf_counter()
    memory.ended.set()
    count = scan.frame_count
    steady, steady_cpu = (
        float(np.diff(times).mean()) if len(times) > 1 else math.nan
        for times in (monitor.times, monitor.cpu_times)
    )
    return {
        'frames': count,
        'in_memory': frames_in_memory == 'yes',
        'load_s': loaded - start,
        'reconstruct_s': end - loaded,
        'ms_a_frame_and_pass': 1e3 * steady / count,
        'cpu_ms_a_frame_and_pass': 1e3 * steady_cpu / count,
        'ms_a_frame': 1e3 * (end - start) / count,
        'cpu_ms_a_frame': 1e3 * (time.process_time() - start_cpu) / count,
        'before_mib': memory.start_mib,
        'peak_mib': memory.peak_mib,
        'residual': float(result.residual[-1]),
    }


def draw(figures: Path, plot: Path) -> None:
    """Draw memory, and time per frame and pass, against the number of frames.

    Args:
        figures: lines that this program has printed.
        plot: the picture.
    """
    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    figure, (memory, time_axis) = plt.subplots(1, 2, figsize=(9, 3.4), layout='constrained')
    for in_memory, label in ((True, 'frames in memory'), (False, 'frames in their file')):
        some = sorted((r['frames'], r) for r in rows if r['in_memory'] == in_memory)
        frames = [count for count, _ in some]
        memory.plot(frames, [row['peak_mib'] for _, row in some], 'o-', label=label)
        times = [row['cpu_ms_a_frame_and_pass'] for _, row in some]
        time_axis.plot(frames, times, 'o-', label=label)
    memory.set_ylabel('largest resident memory (MiB)')
    time_axis.set_ylabel('processor time per frame and pass (ms)')
    for axis in (memory, time_axis):
        axis.set_xscale('log')
        axis.set_xlabel('frames of 128 x 128')
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    memory.legend()
    figure.savefig(plot, dpi=110)


def main() -> None:
    """Print a line for each scan and way, or draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, nargs='+', default=[1000, 10_000])
    parser.add_argument('--passes', type=int, default=3)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--folder', type=Path)
    parser.add_argument('--ways', nargs='+', default=['yes', 'no'], help='of frames_in_memory')
    parser.add_argument('--measure', nargs=2, help=argparse.SUPPRESS)
    parser.add_argument('--draw', type=Path, nargs=2, metavar=('FIGURES', 'PLOT'))
    given = parser.parse_args()
    if given.draw:
        draw(*given.draw)
        return
    if given.measure:
        found: Any = measure(Path(given.measure[0]), given.measure[1], given.backend, given.passes)
        sys.stdout.write(json.dumps(found))
        return
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for frames in given.frames:
            path = Path(folder) / f'{frames}.npz'
            write_scan(path, frames)
            for way in given.ways:
                command = [sys.executable, __file__, '--measure', str(path), way]
                options = ['--backend', given.backend, '--passes', str(given.passes)]
                run = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE)
                figures = json.loads(run.stdout.splitlines()[-1])
                sys.stdout.write(f'{json.dumps(figures)}\n')
                sys.stdout.flush()
            path.unlink()


if __name__ == '__main__':
    main()
