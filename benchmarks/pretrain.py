"""Train the model that the package brings.

usage: pretrain.py cases FOLDER [--seed S] [--first I] [--count N]
       pretrain.py train FOLDER MODEL.safetensors [--steps N] [--seed S]

`cases` simulates scans and reconstructs them by physics alone; `train` learns from them what their
objects lack. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretraining_cases import Case, make_case
from pretraining_commands import run_command

import ptychopinn_plugin
from ptychopinn_plugin import ExecutionConfig, ModelConfig, TrainedModel, TrainingConfig, save_model
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.backends.pytorch.unrolled_stage import apply_symmetry
from ptychopinn_plugin.io.model_file import Manifest
from ptychopinn_plugin.networks.unrolled.dose_gate import DOSE_BINS, FACTORS, DoseGate, join_gate

MODEL = ModelConfig(width=32, levels=3, blocks=2)
# Side of the crops of a batch, pixels; a multiple of what the network's levels need.
CROP_PX, BATCH = 80, 8
LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 3e-3, 200, 1e-4
# Averaged weights are less noisy than those of the last step.
AVERAGE = 0.998
# Every so many cases one is left out of the training.
VALIDATION_EVERY = 11
# Steps of the scan, as a share of the frame, and photons an object pixel, beyond which errors are
# not those of noise: the network has nothing to learn there.
LARGEST_STEP, LARGEST_DOSE = 12 / 64, 3e3
# The error of a crop counts relative to at least this share of its scan's mean error.
LEAST_SHARE = 0.3


def write_cases(arguments: argparse.Namespace) -> None:
    """Make cases, a file each; those that are there already are kept."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ops, began = TorchOps(torch.device('cpu')), time.perf_counter()
    last = arguments.first + arguments.count
    for index in range(arguments.first, last):
        path = arguments.folder / f'case-{arguments.seed}-{index:05d}.npz'
        if path.exists():
            continue
        with torch.no_grad():
            case = make_case(ops, arguments.seed, index)
        partial = path.with_suffix('.partial')
        with partial.open('wb') as file:
            np.savez(
                file,
                channels=case.channels,
                target=case.target,
                weight=case.weight,
                settings=json.dumps(case.settings),
            )
        partial.rename(path)
        print(f'{path.name} {time.perf_counter() - began:.0f} s', flush=True)


def read_cases(folder: Path) -> list[Case]:
    """Read the cases of a folder that the network can learn from, in the order of their names."""
    cases = []
    for path in sorted(folder.glob('case-*.npz')):
        with np.load(path) as file:
            settings = json.loads(str(file['settings']))
            case = Case(file['channels'], file['target'], file['weight'], settings)
        is_dense = settings['step_px'] <= LARGEST_STEP * settings['frame_size']
        if is_dense and mean_dose(case) <= LARGEST_DOSE:
            cases.append(case)
    return cases


def mean_dose(case: Case) -> float:
    """Return the photons an object pixel where light falls."""
    # Channel 4 is three times the noise, 1 / sqrt(1 + dose).
    noise = float(np.average(case.channels[4], weights=case.weight)) / 3
    return float(max(noise**-2 - 1, 1e-6))


@dataclass(frozen=True, eq=False)
class Crops:
    """Draws batches of crops, each in one of the symmetries of the square, some conjugated."""

    cases: list[Case]

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return inputs, targets and weights, whose sum over a crop is 1 / its squared error."""
        batch = [
            self._crop(self.cases[int(rng.integers(len(self.cases)))], rng) for _ in range(BATCH)
        ]
        inputs, targets, weights = (torch.stack(parts) for parts in zip(*batch, strict=True))
        return inputs, targets, weights

    def _crop(self, case: Case, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        shape = case.weight.shape
        start = [int(rng.integers(max(side - CROP_PX, 0) + 1)) for side in shape]
        window = tuple(slice(first, first + CROP_PX) for first in start)
        parts = [one[(..., *window)] for one in (case.channels, case.target, case.weight[None])]
        parts = [_padded(part) for part in parts]
        if rng.random() < 0.5:
            parts[0], parts[1] = _conjugated(parts[0], parts[1])
        symmetry = int(rng.integers(8))
        inputs, target, weight = (
            apply_symmetry(torch.from_numpy(part)[None], symmetry)[0] for part in parts
        )
        error = float((weight * target**2).sum())
        usual = float(np.mean(case.weight * (case.target**2).sum(axis=0))) * CROP_PX**2
        return inputs, target, weight / max(error, LEAST_SHARE * usual, 1e-30)


def _padded(part: np.ndarray) -> np.ndarray:
    """Return a crop with zeros, which weigh nothing, beyond a scan that is smaller."""
    missing = [(0, 0), *((0, CROP_PX - side) for side in part.shape[1:])]
    return np.pad(part, missing)


def _conjugated(channels: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a crop of the conjugate object: imaginary parts change their sign."""
    channels, target = channels.copy(), target.copy()
    channels[[1, 3]] *= -1
    target[1] *= -1
    return channels, target


def learning_rate(step: int, steps: int) -> float:
    """Return the rate: a linear start, then half a cosine."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


@torch.no_grad()
def validated(network: StageNetwork, cases: list[Case]) -> list[dict[str, Any]]:
    """Return the share of the squared error that each factor of the update leaves."""
    found = []
    for case in cases:
        output = network(torch.from_numpy(case.channels)[None])[0].numpy()
        error = float((case.weight * case.target**2).sum())
        left = [
            float((case.weight * (case.target - f * output) ** 2).sum()) / error for f in FACTORS
        ]
        dose = math.log10(mean_dose(case))
        found.append({'dose': dose, 'left': left, 'kind': case.settings['object_kind']})
    return found


def show(found: list[dict[str, Any]], title: str) -> None:
    """Print the mean share of the error that is left, by dose and by kind."""
    parts = []
    for low in DOSE_BINS:
        left = [one['left'][-1] for one in found if low - 0.5 <= one['dose'] < low + 0.5]
        if left:
            parts.append(f'1e{low:.0f}: {math.sqrt(np.mean(left)):.3f} ({len(left)})')
    for kind in sorted({one['kind'] for one in found}):
        left = [one['left'][-1] for one in found if one['kind'] == kind]
        parts.append(f'{kind}: {math.sqrt(np.mean(left)):.3f}')
    print(title, ', '.join(parts), flush=True)


def train(arguments: argparse.Namespace) -> None:
    """Train on the cases of a folder and save the model."""
    cases = read_cases(arguments.folder)
    held_out = cases[::VALIDATION_EVERY]
    crops = Crops([case for index, case in enumerate(cases) if index % VALIDATION_EVERY])
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng([arguments.seed, 1])
    network = StageNetwork(MODEL)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    began, losses, running = time.perf_counter(), [], []
    for step in range(arguments.steps):
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(step, arguments.steps)
        inputs, targets, weights = crops.draw(rng)
        loss = (weights * (network(inputs) - targets) ** 2).sum() / BATCH
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        share = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, one in zip(averaged.parameters(), network.parameters(), strict=True):
                mean.lerp_(one, 1 - share)
        running.append(float(loss.detach()))
        if (step + 1) % arguments.report == 0:
            found = validated(averaged, held_out)
            losses.append((np.mean(running), np.mean([one['left'][-1] for one in found])))
            seconds = time.perf_counter() - began
            show(found, f'{step + 1} {seconds:.0f} s loss {losses[-1][0]:.4f} {losses[-1][1]:.4f}:')
            running = []
            save(arguments, averaged, found, losses, len(cases), seconds)


def save(
    arguments: argparse.Namespace,
    network: StageNetwork,
    found: list[dict[str, Any]],
    losses: list[tuple[float, float]],
    cases: int,
    seconds: float,
) -> None:
    """Write the model, and the record of its training beside it."""
    doses = np.array([one['dose'] for one in found])
    gate = DoseGate.from_validation(doses, np.array([one['left'] for one in found]))
    steps = arguments.report
    manifest = Manifest(
        package_version=ptychopinn_plugin.__version__,
        backend='pytorch',
        model=MODEL,
        training=TrainingConfig(epochs=len(losses), steps_per_epoch=steps, seed=arguments.seed),
        execution=ExecutionConfig(backend='pytorch'),
        frame_size=64,
    )
    weights = join_gate(network.weights(), gate)
    # Trained on many probes, it belongs to none.
    probe = np.ones((1, 64, 64), np.complex64)
    save_model(
        arguments.model, TrainedModel(weights, probe, np.asarray(losses, np.float64), manifest)
    )
    record = {
        'command': ' '.join(['pretrain.py', *sys.argv[1:]]),
        'cases': cases,
        'steps': len(losses) * steps,
        'seconds': round(seconds),
        'loss': losses[-1],
        'gate': dict(zip(DOSE_BINS.tolist(), gate.factor.tolist(), strict=True)),
    }
    arguments.model.with_suffix('.json').write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    run_command(__doc__, write_cases, train, count=900, steps=9000, report=500)
