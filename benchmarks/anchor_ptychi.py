"""Reconstruct a canonical .npz scan with pty-chi's LSQML; runs in pty-chi's own environment.

usage: anchor_ptychi.py SCAN.npz OUT_FOLDER EPOCHS[,EPOCHS...] [--update-probe] [--threads N]

Writes OUT_FOLDER/EPOCHS.npz with `object`, `probe` and `seconds`, and prints the epochs done.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import ptychi.api as api
import torch
from ptychi.api.task import PtychographyTask


def options(epochs: int, *, update_probe: bool) -> api.LSQMLOptions:
    """Return LSQML options: batches of 100 random frames, on the CPU."""
    chosen = api.LSQMLOptions()
    reconstructor = chosen.reconstructor_options
    reconstructor.default_device = api.Devices.CPU
    reconstructor.batch_size = 100
    reconstructor.batching_mode = api.BatchingModes.RANDOM
    reconstructor.random_seed = 0
    reconstructor.num_epochs = epochs
    chosen.object_options.optimizable = True
    chosen.object_options.determine_position_origin_coords_by = (
        api.ObjectPosOriginCoordsMethods.SPECIFIED
    )
    chosen.object_options.position_origin_coords = np.zeros(2)
    chosen.probe_options.optimizable = update_probe
    chosen.probe_position_options.optimizable = False
    return chosen


def main() -> None:
    """Run the epochs in turn and save the state at each mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scan', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('epochs')
    parser.add_argument('--update-probe', action='store_true')
    parser.add_argument('--threads', type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    marks = [int(mark) for mark in arguments.epochs.split(',')]
    with np.load(arguments.scan) as data:
        scan = {name: data[name] for name in data.files if data[name].dtype.kind in 'fc'}
    # pty-chi counts positions from pixel centres, half a pixel below ours.
    task = PtychographyTask(
        options(marks[-1], update_probe=arguments.update_probe),
        diffraction_data=scan['diffraction'].astype(np.float32) ** 2,
        object_data=np.ones((1, *scan['objectGuess'].shape), np.complex64),
        probe_data=np.atleast_3d(scan['probeGuess'].T).T[None].astype(np.complex64),
        probe_position_x_px=(scan['xcoords'] - 0.5).astype(np.float32),
        probe_position_y_px=(scan['ycoords'] - 0.5).astype(np.float32),
        opr_mode_weights_data=None,
        valid_pixel_mask=None,
    )
    arguments.folder.mkdir(parents=True, exist_ok=True)
    seconds, done = 0.0, 0
    for mark in marks:
        began = time.perf_counter()
        task.run(mark - done)
        seconds += time.perf_counter() - began
        done = mark
        np.savez(
            arguments.folder / f'{mark}.npz',
            object=task.get_data_to_cpu('object', as_numpy=True)[0],
            probe=task.get_data_to_cpu('probe', as_numpy=True)[0],
            seconds=seconds,
        )
        print(mark, flush=True)


if __name__ == '__main__':
    main()
