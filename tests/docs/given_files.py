"""Small files that pages take for given, as scans of a user would be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychopinn_plugin.io.model_file import packaged_model, save_model
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from tests.docs.page_blocks import blocks
from tests.io.instrument_files import (
    frames,
    instrument_scan,
    write_csv,
    write_cxi,
    write_hdf5,
    write_velociprobe,
)

Names = dict[str, Any]
Given = Callable[[Path], Names]
ROWS = 8
# Ends within a thread of the program: no job of a cluster.
SITE = """
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor

config = Config(
    executors=[ThreadPoolExecutor(max_threads=1)], initialize_logging=False, run_dir='parsl'
)
"""


@cache
def small_scan() -> ScanData:
    """Return a scan of 64 frames of 64 x 64 pixels."""
    return simulate(SimulationConfig(rows=ROWS, columns=ROWS)).scan


def scans(*names: str) -> Given:
    """Return what writes the small scan under each name."""

    def write(folder: Path) -> Names:
        for name in names:
            save_npz(folder / name, small_scan())
        return {}

    return write


def model(folder: Path) -> Names:
    save_model(folder / 'model.safetensors', packaged_model())
    return {}


def settings(folder: Path) -> Names:
    """Write the file of settings of the page on configuration."""
    (block,) = [block for block in blocks('configuration') if block.language == 'toml']
    (folder / 'settings.toml').write_text(block.text)
    return {}


def ptychodus_folder(folder: Path) -> Names:
    save_ptychodus_pair(folder / 'scan', small_scan())
    return {}


def list_of_scans(folder: Path) -> Names:
    """Write a folder of scans, a list of them, and a configuration of Parsl."""
    (folder / 'scans-folder').mkdir()
    for name in ('one', 'two'):
        save_npz(folder / 'scans-folder' / f'{name}.npz', small_scan())
    (folder / 'scans.txt').write_text('scans-folder/one.npz\nscans-folder/two.npz\n')
    (folder / 'site.py').write_text(SITE)
    return {}


def beamline_files(folder: Path) -> Names:
    """Write files of 25 frames as instruments have them."""
    import tifffile

    scan = instrument_scan()
    save_ptychodus_pair(folder / 'earlier', load_scan(write_cxi(folder / 'scan.cxi', scan)))
    write_csv(folder / 'positions.csv', scan)
    for number, frame in enumerate(frames(scan)):
        tifffile.imwrite(folder / f'frames_{number:03d}.tif', frame)
    write_hdf5(folder / 'scan.h5', {'/entry/data/data': frames(scan)})
    shutil.copy(folder / 'earlier' / 'product.h5', folder / 'earlier.h5')
    (folder / 'raw').mkdir()
    (folder / 'positions').mkdir()
    for place, positions in ((folder, 'fly001_pos.txt'), (folder / 'raw', 'fly001_positions.txt')):
        write_velociprobe(place, scan, beam=(20, 25)).rename(place / 'fly001_master.h5')
        (place / 'fly_positions.txt').rename(place / positions)
    shutil.move(folder / 'raw' / 'fly001_positions.txt', folder / 'positions' / 'fly001_master.txt')
    return {}


def one_file(folder: Path) -> Names:
    write_cxi(folder / 'run7.cxi', instrument_scan())
    return {}


def separate_frames(folder: Path) -> Names:
    """Write the frames of `scan.npz` by themselves, as .npy and as HDF5."""
    counts = small_scan().counts.astype(np.uint16)
    np.save(folder / 'frames.npy', counts)
    write_hdf5(folder / 'scan.cxi', {'/entry_1/data_1/data': counts})
    return {}


def recorded(folder: Path) -> Names:
    """Write the files of a scan that was recorded, and what a script gets from a detector."""
    scan = small_scan()
    counts, positions = scan.counts.astype(np.uint16), scan.positions_px
    for name, data, place in (
        ('scan.h5', '/entry/data/data', '/entry/positions'),
        ('run7.h5', '/exchange/data', '/exchange/position'),
    ):
        with h5py.File(folder / name, 'w', libver='latest') as file:
            file.create_dataset(data, data=counts, chunks=(1, *counts.shape[1:]))
            file[place] = positions
    np.savez(folder / 'probe.npz', probe=scan.probe)
    np.save(folder / 'probe.npy', scan.probe)
    lines = [f'{row!r}, {column!r}\n' for row, column in positions.tolist()]
    for name in ('positions.txt', 'positions.csv'):
        (folder / name).write_text(''.join(lines))
    size_um = 1.2e-2  # the object pixel of the page
    (folder / 'motors.txt').write_text(
        ''.join(f'{row * size_um!r}, {column * size_um!r}\n' for row, column in positions.tolist())
    )
    for name in ('frames-folder', 'eiger-folder'):
        (folder / name).mkdir()
    for number, frame in enumerate(counts):
        np.save(folder / 'frames-folder' / f'{number:05d}.npy', frame)
    write_hdf5(folder / 'eiger-folder' / 'data_000001.h5', {'/entry/data/data': counts})
    return {
        'probe': scan.probe,
        'planned_positions': positions,
        'detector': [(range(len(counts)), counts)],
    }
