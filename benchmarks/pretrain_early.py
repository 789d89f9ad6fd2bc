"""Train the package's network after the second pass (`early_network`).

usage: pretrain_early.py cases FOLDER [--seed S] [--first I] [--count N]
       pretrain_early.py train FOLDER MODEL.safetensors [--steps N] [--seed S]

`cases` simulates scans of all overlaps and takes the solver's object after some of 24 passes;
`train` learns from them what unfinished objects lack. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pretrain import AVERAGE, BATCH, CROP_PX, VALIDATION_EVERY, WEIGHT_DECAY, _conjugated, _padded
from pretraining_cases import KINDS, Case, Complex, Floats, _regions
from pretraining_commands import run_command

import ptychopinn_plugin
from ptychopinn_plugin import ExecutionConfig, ModelConfig, TrainedModel, TrainingConfig, save_model
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.pytorch.unrolled_stage import apply_symmetry
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.io.model_file import Manifest
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, join_gate
from ptychopinn_plugin.networks.unrolled.features import compute_features
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate
from ptychopinn_plugin.solver.prepare import prepare_solver

# With the network after the last pass, two megabytes of package data.
MODEL = ModelConfig(width=22, levels=3, blocks=2)
LEARNING_RATE, WARM_UP = 4e-3, 100
# Of each group one number of passes is drawn for each scan.
PASSES = ((1, 2), (3, 4, 5), (6, 8, 12), (16, 24))
# Errors of more than so many of the units that they are expected in are outliers.
LARGEST_TARGET = 50.0
WELL_COVERED = 0.15
LEAST_SHARE = 0.3


def draw_scan(seed: int, index: int) -> SimulationConfig:
    """Draw a scan; every step from dense to hardly overlapping, with a known probe mostly."""
    rng = np.random.default_rng([seed, index])
    step = rng.uniform(5, 28)
    side = int(np.clip(round(rng.uniform(90, 130) / step), 4, 18))
    return SimulationConfig(
        object_kind=KINDS[index % len(KINDS)],
        scan_pattern=str(rng.choice(['jittered', 'spiral', 'raster'], p=[0.65, 0.2, 0.15])),
        rows=side,
        columns=side,
        step_px=step,
        jitter_px=min(0.25 * step, 4),
        photons_per_frame=10 ** rng.uniform(2.7, 6.2),
        seed=int(rng.integers(2**20, 2**30)),
        amplitude_contrast=rng.uniform(0.05, 0.85),
        phase_range_rad=rng.uniform(0.15, 3.0),
        probe_variation=0.3,
        probe_guess_error=float(rng.uniform(-0.1, 0.1)) if rng.random() < 0.25 else 0.0,
    )


def unfinished_cases(ops: TorchOps, made: SimulatedScan, passes: Sequence[int]) -> list[Case]:
    """Reconstruct a scan with its probe held; return a case after each number of passes."""
    scan = dataclasses.replace(made.scan, object_guess=np.ones_like(made.ground_truth))
    inference = InferenceConfig(refine_iterations=max(passes), update_probe='off')
    solver = prepare_solver(ops, scan, inference, lambda: None)
    cases = []
    for number in range(1, max(passes) + 1):
        solver.one_pass()
        if number not in passes:
            continue
        state = solver.state
        solver.finish()
        arrays = (solver.canvas_object, *solver.present_direction())
        found, direction, dose = (ops.numpy(one).copy() for one in arrays)
        cases.append(compared(made, found, direction, dose, solver.problem.canvas.origin_px))
        solver.state = state
    return cases


def compared(
    made: SimulatedScan, found: Complex, direction: Complex, dose: Floats, origin: tuple[int, int]
) -> Case:
    """Compare an unfinished object with the known one, turned to the same mean phase."""
    region, truth_region = _regions(made, origin, found.shape)
    features = compute_features(NumpyOps(), found, direction, dose)
    size = (features.scale * features.coverage)[region]
    truth, light = made.ground_truth[truth_region], dose[region]
    overlap = np.vdot(truth * light, found[region] * light)
    target = (truth * (overlap / abs(overlap)) - found[region]) * np.conj(features.phase)
    # Without light there is nothing to learn, and nothing to divide by.
    target = np.divide(target, size, out=np.zeros_like(target), where=size > 0)
    covered = np.minimum(light / (WELL_COVERED * float(dose.max())), 1)
    return Case(
        np.stack([channel[region] for channel in features.channels]).astype(np.float32),
        np.clip(np.stack([target.real, target.imag]), -LARGEST_TARGET, LARGEST_TARGET),
        (size**2 * covered**2).astype(np.float32),
        {},
    )


def write_cases(arguments: argparse.Namespace) -> None:
    """Make the cases of each scan, a file a scan; those that are there already are kept."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ops = TorchOps(torch.device('cpu'))
    for index in range(arguments.first, arguments.first + arguments.count):
        path = arguments.folder / f'early-{arguments.seed}-{index:05d}.npz'
        if path.exists():
            continue
        made = simulate(draw_scan(arguments.seed, index))
        rng = np.random.default_rng([arguments.seed, index, 5])
        passes = sorted({int(rng.choice(group)) for group in PASSES})
        with torch.no_grad():
            cases = unfinished_cases(ops, made, passes)
        arrays: dict[str, npt.NDArray[np.float32]] = {}
        for number, case in zip(passes, cases, strict=True):
            arrays |= {
                f'channels-{number}': case.channels,
                f'target-{number}': case.target,
                f'weight-{number}': case.weight,
            }
        partial = path.with_suffix('.partial')
        with partial.open('wb') as file:
            np.savez(file, **arrays)
        partial.rename(path)
        print(path.name, passes, flush=True)


def read_cases(path: Path) -> list[Case]:
    """Read the cases of a scan."""
    with np.load(path) as file:
        numbers = [name.partition('-')[2] for name in file.files if name.startswith('weight')]
        return [
            Case(file[f'channels-{n}'], file[f'target-{n}'], file[f'weight-{n}'], {})
            for n in numbers
        ]


def draw_batch(cases: list[Case], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Return inputs, targets and weights of crops, in one of eight symmetries, some conjugated.

    Crops with large errors weigh more, by the root of the error relative to the case's mean.
    """
    batch = []
    for _ in range(BATCH):
        case = cases[int(rng.integers(len(cases)))]
        start = [int(rng.integers(max(side - CROP_PX, 0) + 1)) for side in case.weight.shape]
        window = tuple(slice(first, first + CROP_PX) for first in start)
        arrays = (case.channels, case.target, case.weight[None])
        parts = [_padded(one[(..., *window)]) for one in arrays]
        if rng.random() < 0.5:
            parts[0], parts[1] = _conjugated(parts[0], parts[1])
        symmetry = int(rng.integers(8))
        inputs, target, weight = (
            apply_symmetry(torch.from_numpy(np.ascontiguousarray(part))[None], symmetry)[0]
            for part in parts
        )
        error = max(float((weight * target**2).sum()), 1e-12)
        usual = float(np.mean(case.weight * (case.target**2).sum(axis=0))) * CROP_PX**2
        scale = math.sqrt(error * max(error, LEAST_SHARE * usual))
        batch.append((inputs, target, weight / scale))
    return tuple(torch.stack(parts) for parts in zip(*batch, strict=True))


@torch.no_grad()
def error_left(network: StageNetwork, cases: list[Case]) -> float:
    """Return the mean share of the error that the network's update leaves."""
    left = []
    for case in cases:
        output = network(torch.from_numpy(case.channels)[None])[0].numpy()
        before = float((case.weight * case.target**2).sum())
        after = float((case.weight * (case.target - output) ** 2).sum())
        left.append(math.sqrt(after / before))
    return float(np.mean(left))


def train(arguments: argparse.Namespace) -> None:
    """Train on the cases of a folder; save the model and the record of its training."""
    files = sorted(arguments.folder.glob('early-*.npz'))
    # Whole scans are held out.
    held_out = [case for path in files[:: 2 * VALIDATION_EVERY] for case in read_cases(path)]
    used = set(files) - set(files[:: 2 * VALIDATION_EVERY])
    cases = [case for path in sorted(used) for case in read_cases(path)]
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng([arguments.seed, 3])
    network = StageNetwork(MODEL).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    began, losses = time.process_time(), []
    for step in range(arguments.steps):
        warm = min(1.0, (step + 1) / WARM_UP)
        rate = LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * step / arguments.steps))
        for group in optimizer.param_groups:
            group['lr'] = rate
        inputs, targets, weights = draw_batch(cases, rng)
        loss = (weights * (network(inputs) - targets) ** 2).sum() / BATCH
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        share = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, one in zip(averaged.parameters(), network.parameters(), strict=True):
                mean.lerp_(one, 1 - share)
        losses.append(float(loss.detach()))
        if (step + 1) % arguments.report == 0:
            print(step + 1, np.mean(losses[-arguments.report :]), flush=True)
    save(arguments, averaged, losses, error_left(averaged, held_out), time.process_time() - began)


def save(
    arguments: argparse.Namespace,
    network: StageNetwork,
    losses: list[float],
    left: float,
    seconds: float,
) -> None:
    """Write the model, open at every dose, and the record of its training beside it."""
    manifest = Manifest(
        package_version=ptychopinn_plugin.__version__,
        backend='pytorch',
        model=MODEL,
        training=TrainingConfig(epochs=1, steps_per_epoch=arguments.steps, seed=arguments.seed),
        execution=ExecutionConfig(backend='pytorch'),
        frame_size=64,
    )
    last = float(np.mean(losses[-arguments.report :]))
    # Trained on many probes, it belongs to none.
    probe = np.ones((1, 64, 64), np.complex64)
    weights = join_gate(network.weights(), DoseGate.open())
    trained = TrainedModel(weights, probe, np.array([(last, left)], np.float64), manifest)
    save_model(arguments.model, trained)
    record = {
        'command': ' '.join(['pretrain_early.py', *sys.argv[1:]]),
        'processor seconds': round(seconds),
        'loss': last,
        'share of the error left': left,
    }
    arguments.model.with_suffix('.json').write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    run_command(__doc__, write_cases, train, count=330, steps=2000, report=400)
