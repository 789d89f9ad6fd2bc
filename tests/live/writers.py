"""Programs that record a scan, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

FRAMES, POSITIONS = '/entry/data/data', '/entry/positions'


def start(kind: str, source: Path, target: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a writer of the frames of an .npz file (`counts`, `positions_px`).

    Args:
        kind: 'swmr', 'folder' or 'virtual'.
        source: the .npz file.
        target: the HDF5 file or the folder.
        *words: 'kill' ends the process by a signal after half of the frames, 'hurry' writes
            without pauses.
    """
    command = [sys.executable, '-m', 'tests.live.writers', kind, str(source), str(target), *words]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2])


def write_swmr(source: Path, target: Path, *, kill: bool, pause_s: float) -> None:
    """Write a growing HDF5 file, the positions after the frames."""
    with np.load(source) as file:
        counts, positions = file['counts'], file['positions_px']
    size = counts.shape[1]
    # As detectors do: seen by readers only once it is ready for them.
    hidden = target.with_name(f'.{target.name}')
    file = h5py.File(hidden, 'w', libver='latest')
    data = file.create_dataset(
        FRAMES, (0, size, size), counts.dtype, maxshape=(None, size, size), chunks=(1, size, size)
    )
    points = file.create_dataset(POSITIONS, (0, 2), 'f8', maxshape=(None, 2), chunks=(16, 2))
    file.swmr_mode = True
    hidden.rename(target)
    for first in range(0, len(counts), 8):
        end = min(first + 8, len(counts))
        if kill and first >= len(counts) // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        data.resize(end, 0)
        data[first:end] = counts[first:end]
        data.flush()
        time.sleep(pause_s)
        points.resize(end, 0)
        points[first:end] = positions[first:end]
        points.flush()
    file.close()


def write_virtual(source: Path, target: Path, *, kill: bool, pause_s: float) -> None:
    """Write a virtual dataset of three files at first, and then the files, one after the other."""
    with np.load(source) as file:
        counts, positions = file['counts'], file['positions_px']
    total, size, together = len(counts), counts.shape[1], 40
    np.save(target.with_name('positions.npy'), positions)
    layout = h5py.VirtualLayout((total, size, size), counts.dtype)
    parts = [slice(first, min(first + together, total)) for first in range(0, total, together)]
    names = [f'data_{number:06d}.h5' for number in range(1, len(parts) + 1)]
    for name, part in zip(names, parts, strict=True):
        layout[part] = h5py.VirtualSource(name, 'data', (part.stop - part.start, size, size))
    with h5py.File(target, 'w', libver='latest') as master:
        master.create_virtual_dataset(FRAMES, layout, fillvalue=7)
    for name, part in zip(names, parts, strict=True):
        with h5py.File(target.with_name(name), 'w', libver='latest') as file:
            shape = (part.stop - part.start, size, size)
            data = file.create_dataset('data', shape, counts.dtype, chunks=(1, size, size))
            file.swmr_mode = True
            for place, number in enumerate(range(part.start, part.stop)):
                if kill and number >= total // 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                data[place] = counts[number]
                data.flush()
                if place % 8 == 0:
                    time.sleep(pause_s)


def write_folder(source: Path, target: Path, *, kill: bool, pause_s: float) -> None:
    """Write a file a frame in an order of its own, and a line a position in another one."""
    with np.load(source) as file:
        counts, positions = file['counts'], file['positions_px']
    rng = np.random.default_rng(0)
    order, lines = rng.permutation(len(counts)), rng.permutation(len(counts))
    target.mkdir(exist_ok=True)
    with (target.parent / 'positions.txt').open('w') as text:
        text.write('# index, row, column\n')
        for place, (number, line) in enumerate(zip(order, lines, strict=True)):
            if kill and place >= len(counts) // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            row, column = positions[line].tolist()
            text.write(f'{line}, {row!r}, {column!r}\n')
            text.flush()
            np.save(target / f'frame_{number:05d}.npy', counts[number])
            if place % 8 == 0:
                time.sleep(pause_s)


if __name__ == '__main__':
    write = {'swmr': write_swmr, 'folder': write_folder, 'virtual': write_virtual}[sys.argv[1]]
    write(
        Path(sys.argv[2]),
        Path(sys.argv[3]),
        kill='kill' in sys.argv,
        pause_s=0.0 if 'hurry' in sys.argv else 0.05,
    )
