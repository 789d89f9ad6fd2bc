"""Writes a CXI file frame by frame: `python growing_writer.py WHOLE PATH FRAMES POSITIONS KIND`."""

from __future__ import annotations

import sys

import h5py
import numpy as np

DATA = '/entry_1/instrument_1/detector_1/data'
POSITIONS = '/entry_1/sample_1/geometry_1/translation'


def make_growing(source: h5py.File, file: h5py.File, kind: str) -> None:
    """Write all but frames and positions, and make room for these."""

    def copy(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and f'/{name}' not in (DATA, POSITIONS):
            file[name] = item[()]

    source.visititems(copy)
    file['/entry_1/data_1/data'] = h5py.SoftLink(DATA)
    count, *sides = source[DATA].shape
    grows = kind in ('grows', 'no-swmr')
    file.create_dataset(
        DATA,
        (0 if grows else count, *sides),
        'u2',
        maxshape=(None, *sides),
        chunks=(1, *sides),
        fillvalue=0 if grows else 65535,
        compression='gzip' if kind == 'gap' else None,
    )
    file.create_dataset(
        POSITIONS, (count, 3), 'f8', maxshape=(None, 3), chunks=(8, 3), fillvalue=np.nan
    )


def write_rows(
    source: h5py.File, file: h5py.File, first: tuple[int, int], end: tuple[int, int], kind: str
) -> None:
    """Write frames and positions between two pairs of numbers."""
    data, points = file[DATA], file[POSITIONS]
    for number in range(first[0], end[0]):
        if kind == 'gap' and number == 4:
            continue
        data.resize(max(number + 1, len(data)), axis=0)
        data[number] = source[DATA][number]
        data.flush()
    points[first[1] : end[1]] = source[POSITIONS][first[1] : end[1]]
    points.flush()


def main() -> None:
    """Write a part, wait for a line, and write the rest."""
    whole, path, frames, positions, kind = sys.argv[1:]
    written = (int(frames), int(positions))
    with h5py.File(whole, 'r') as source, h5py.File(path, 'w', libver='latest') as file:
        make_growing(source, file, kind)
        if kind != 'no-swmr':
            file.swmr_mode = True
        write_rows(source, file, (0, 0), written, kind)
        file.flush()
        sys.stdout.write('written\n')
        sys.stdout.flush()
        sys.stdin.readline()
        count = len(source[DATA])
        write_rows(source, file, written, (count, count), kind)


if __name__ == '__main__':
    main()
