"""What the photons of a faint scan determine of its object, whatever the method.

usage: photon_limit.py [--seeds 711,712] [--photons 1000] [--kinds grf,lines,mixed]

Prints a Markdown table with the error and the phase SSIM of four objects of each scan:

- physics: the reconstruction as users get it, without a network;
- no prior: without the prior of the object, so with all noise;
- from the ground truth: the reconstruction started there, which shows whether the start matters;
- best filter: the object without prior, each ring of spatial frequencies scaled so that the error
  is least, which takes the ground truth (Wiener filter). For a Gaussian random field, no estimate
  has a smaller expected error than a Wiener filter.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import numpy.typing as npt
import torch

from ptychopinn_plugin import InferenceConfig, ScanData
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver.prepare import prepare_solver

PASSES = 24
# Rings a cycle a pixel: narrow enough for a spectrum that falls fast, with tens of components each.
RINGS = 48

Complex = npt.NDArray[np.complex64]


def reconstructed(scan: ScanData, truth: Complex, *, prior: bool, from_truth: bool) -> Complex:
    """Return the scanned area of an object, and that of the ground truth, complex64 (2, h, w)."""
    config = InferenceConfig(update_probe='off', object_prior=prior)
    ops = TorchOps(torch.device('cpu'))
    solver = prepare_solver(ops, scan, config, lambda: None)
    if from_truth:
        solver.set_object(ops.array(truth))
    for _ in range(PASSES):
        solver.one_pass()
    if not from_truth:
        # It would take the ground truth, which it began with, where that has the least misfit.
        solver.finish()
    core = scanned_core(scan.positions_px, solver.problem.canvas.origin_px)
    return np.stack([ops.numpy(solver.canvas_object)[core], truth[core]])


def best_filter(found: Complex, truth: Complex) -> Complex:
    """Return an object with each ring of its Fourier components scaled to least error."""
    found = found * (np.vdot(found, truth) / np.vdot(found, found))
    mean = found.mean()
    spectrum, wanted = np.fft.fft2(found - mean), np.fft.fft2(truth - truth.mean())
    rows, columns = (np.fft.fftfreq(side) for side in found.shape)
    rings = np.rint(np.hypot(rows[:, None], columns) * RINGS).astype(int).ravel()
    matched = np.bincount(rings, (np.conj(spectrum) * wanted).real.ravel())
    power = np.bincount(rings, np.square(np.abs(spectrum)).ravel())
    gains = matched / np.maximum(power, 1e-30)
    filtered = np.fft.ifft2(spectrum * gains[rings].reshape(found.shape)) + mean
    return np.asarray(filtered, np.complex64)


def objects(config: SimulationConfig) -> list[tuple[Complex, Complex]]:
    """Return the objects of the columns of the table, each with the ground truth."""
    made = simulate(config)
    with torch.no_grad():
        physics, raw, started = (
            reconstructed(made.scan, made.ground_truth, prior=prior, from_truth=from_truth)
            for prior, from_truth in ((True, False), (False, False), (True, True))
        )
    filtered = best_filter(raw[0], raw[1])
    return [
        (physics[0], physics[1]),
        (raw[0], raw[1]),
        (started[0], started[1]),
        (filtered, raw[1]),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', default='711,712')
    parser.add_argument('--photons', type=float, default=1e3)
    parser.add_argument('--kinds', default='grf,lines,mixed')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print('| object, seed | physics | no prior | from the ground truth | best filter |')
    print('|---|---|---|---|---|')
    seeds = [int(seed) for seed in arguments.seeds.split(',')]
    for kind, seed in itertools.product(arguments.kinds.split(','), seeds):
        settings = {'object_kind': kind, 'seed': seed, 'photons_per_frame': arguments.photons}
        config = SimulationConfig.model_validate({'rows': 21, 'columns': 21, **settings})
        scores = [score(found, truth) for found, truth in objects(config)]
        cells = (f'{one.nrmse:.4f} ({one.phase_ssim:.3f})' for one in scores)
        print(f'| {kind}, {seed} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
