"""Reconstruct a canonical .npz scan with pty-chi's LSQML; runs in pty-chi's own environment.

usage: anchor_ptychi.py SCAN.npz OUT_FOLDER EPOCHS[,EPOCHS...] [--update-probe] [--advised]
                        [--positions] [--modes N] [--opr-modes N] [--poisson] [--threads N]

Writes OUT_FOLDER/EPOCHS.npz with `object`, `probe`, `positions_px`, `seconds` and
`processor_seconds`, and prints the epochs done. --advised takes momentum and batches of 44 frames,
which its manual advises.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import ptychi.api as api
import torch
from ptychi.api.task import PtychographyTask
from ptychi.utils import (
    add_additional_opr_probe_modes_to_probe,
    generate_initial_opr_mode_weights,
)


def options(epochs: int, arguments: argparse.Namespace) -> api.LSQMLOptions:
    """Return LSQML options for the CPU, with the corrections that were asked for."""
    chosen = api.LSQMLOptions()
    reconstructor = chosen.reconstructor_options
    reconstructor.default_device = api.Devices.CPU
    reconstructor.batch_size = 100
    if arguments.advised:
        reconstructor.batch_size = 44
        reconstructor.momentum_acceleration_gain = 0.5
    if arguments.poisson:
        reconstructor.noise_model = api.NoiseModels.POISSON
    reconstructor.batching_mode = api.BatchingModes.RANDOM
    reconstructor.random_seed = 0
    reconstructor.num_epochs = epochs
    chosen.object_options.optimizable = True
    chosen.object_options.determine_position_origin_coords_by = (
        api.ObjectPosOriginCoordsMethods.SPECIFIED
    )
    chosen.object_options.position_origin_coords = np.zeros(2)
    chosen.probe_options.optimizable = arguments.update_probe
    chosen.probe_position_options.optimizable = arguments.positions
    chosen.opr_mode_weight_options.optimizable = arguments.opr_modes > 0
    return chosen


def starting_probe(
    probe: npt.NDArray[np.complexfloating], arguments: argparse.Namespace
) -> torch.Tensor:
    """Return (1 + opr modes, modes, N, N): weak further modes as Hermite functions of the first."""
    modes = torch.as_tensor(np.atleast_3d(probe.T).T, dtype=torch.complex64)
    if arguments.modes > 1:
        axis = torch.linspace(-1, 1, modes.shape[-1])
        factors = [axis[None, :], axis[:, None], axis[None, :] * axis[:, None]]
        further = [modes[0] * factor for factor in factors[: arguments.modes - 1]]
        scale = 0.2 * modes[0].abs().square().sum().sqrt()
        further = [mode * scale / mode.abs().square().sum().sqrt() for mode in further]
        modes = torch.stack([modes[0], *further])
    probes = modes[None]
    if arguments.opr_modes:
        probes = add_additional_opr_probe_modes_to_probe(probes, arguments.opr_modes)
    return probes


def main() -> None:
    """Run the epochs in turn and save the state at each mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scan', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('epochs')
    parser.add_argument('--update-probe', action='store_true')
    parser.add_argument('--advised', action='store_true')
    parser.add_argument('--positions', action='store_true')
    parser.add_argument('--poisson', action='store_true')
    parser.add_argument('--modes', type=int, default=1)
    parser.add_argument('--opr-modes', type=int, default=0)
    parser.add_argument('--threads', type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    marks = [int(mark) for mark in arguments.epochs.split(',')]
    with np.load(arguments.scan) as data:
        scan = {name: data[name] for name in data.files if data[name].dtype.kind in 'fc'}
    probe = starting_probe(scan['probeGuess'], arguments)
    weights = None
    if arguments.opr_modes:
        weights = generate_initial_opr_mode_weights(len(scan['xcoords']), len(probe))
    # pty-chi counts positions from pixel centres, half a pixel below ours.
    task = PtychographyTask(
        options(marks[-1], arguments),
        diffraction_data=scan['diffraction'].astype(np.float32) ** 2,
        object_data=np.ones((1, *scan['objectGuess'].shape), np.complex64),
        probe_data=probe,
        probe_position_x_px=(scan['xcoords'] - 0.5).astype(np.float32),
        probe_position_y_px=(scan['ycoords'] - 0.5).astype(np.float32),
        opr_mode_weights_data=weights,
        valid_pixel_mask=None,
    )
    arguments.folder.mkdir(parents=True, exist_ok=True)
    seconds, processor_seconds, done = 0.0, 0.0, 0
    for mark in marks:
        began, processor_began = time.perf_counter(), time.process_time()
        task.run(mark - done)
        seconds += time.perf_counter() - began
        processor_seconds += time.process_time() - processor_began
        done = mark
        np.savez(
            arguments.folder / f'{mark}.npz',
            object=task.get_data_to_cpu('object', as_numpy=True)[0],
            probe=task.get_data_to_cpu('probe', as_numpy=True)[0],
            positions_px=task.get_data_to_cpu('probe_positions', as_numpy=True) + 0.5,
            seconds=seconds,
            processor_seconds=processor_seconds,
        )
        print(mark, flush=True)


if __name__ == '__main__':
    main()
