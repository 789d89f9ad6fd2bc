"""Writes frames that say their number as it is told to on standard input: FILE FILL ROWS."""

from __future__ import annotations

import sys

import h5py
import numpy as np

from tests.live import writers

SIZE = 4


def record(path: str, fill: float, rows: int) -> None:
    """Write a file; each line of standard input is a word and numbers of rows."""
    file = h5py.File(path, 'w', libver='latest')
    frames = file.create_dataset(
        writers.FRAMES, (rows, SIZE, SIZE), 'u2', maxshape=(None, SIZE, SIZE), chunks=(2, 4, 4)
    )
    points = file.create_dataset(
        writers.POSITIONS, (rows, 2), 'f8', maxshape=(None, 2), chunks=(4, 2), fillvalue=fill
    )
    file.swmr_mode = True
    sys.stdout.write('done\n')
    sys.stdout.flush()
    for line in sys.stdin:
        word, *numbers = line.split()
        for number in map(int, numbers):
            for dataset in (frames, points):
                if len(dataset) <= number:
                    dataset.resize(number + 1, 0)
            frames[number] = np.full((SIZE, SIZE), 100 + number)
            points[number] = (0, 0) if word == 'origin' else (number, 2 * number + 0.5)
        if word == 'close':
            file.close()
        else:
            frames.flush()
            points.flush()
        sys.stdout.write('done\n')
        sys.stdout.flush()


if __name__ == '__main__':
    record(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
