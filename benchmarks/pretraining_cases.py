"""Cases of the packaged model's training: simulated scans, reconstructed by physics alone."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import shift as spline_shift

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.networks.unrolled.features import compute_features
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate
from ptychopinn_plugin.solver.prepare import prepare_solver

KINDS = ('mixed', 'lines', 'grf', 'siemens', 'cells', 'polygons')
# Rows and columns of a canvas beyond the outermost positions that are learned from, as a share of
# the frame: the probe's disc reaches about 0.15 of it.
REACH = 0.1
# Errors of more than so many of the units that they are expected in are outliers.
LARGEST_TARGET = 20.0

# Share of the largest dose from which on a pixel has the full weight.
WELL_COVERED = 0.15

Floats = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]


class Case(NamedTuple):
    """What the network sees of a reconstruction, and what it should answer.

    Attributes:
        channels: float32 (INPUT_CHANNELS, H, W), its input.
        target: float32 (2, H, W), what the object lacks, in the units of the network's output.
        weight: float32 (H, W), square of these units in the object's, 0 where no light falls.
        settings: of the scan and of its reconstruction.
    """

    channels: Floats
    target: Floats
    weight: Floats
    settings: dict[str, Any]


def draw_settings(seed: int, index: int) -> tuple[SimulationConfig, InferenceConfig]:
    """Draw a scan and how it is reconstructed."""
    rng = np.random.default_rng([seed, index])
    size = 128 if rng.random() < 0.08 else 64
    dense = rng.random() < 0.7
    step = (rng.uniform(4, 9) if dense else rng.uniform(9, 22)) * size / 64
    field = (90 if dense else 125) * size / 64
    side = int(np.clip(round(field / step), 5, 18))
    photons = 10 ** (rng.uniform(2.5, 5.0) if rng.random() < 0.8 else rng.uniform(5.0, 6.3))
    refines = rng.random() < 0.4
    scan = SimulationConfig(
        frame_size=size,
        object_kind=str(KINDS[index % len(KINDS)]),
        scan_pattern=str(rng.choice(['jittered', 'spiral', 'raster'], p=[0.65, 0.2, 0.15])),
        rows=side,
        columns=side,
        step_px=step,
        jitter_px=0.25 * step,
        photons_per_frame=photons,
        seed=int(rng.integers(2**20, 2**30)),
        amplitude_contrast=rng.uniform(0.05, 0.85),
        phase_range_rad=rng.uniform(0.15, 3.0),
        probe_variation=0.3,
        probe_guess_error=rng.uniform(-0.15, 0.15) if refines else 0.0,
    )
    inference = InferenceConfig(
        refine_iterations=int(rng.choice([16, 24, 24, 40])),
        update_probe='on' if refines else 'off',
    )
    return scan, inference


def reconstructed(
    ops: Ops, simulated: SimulatedScan, inference: InferenceConfig
) -> tuple[Complex, Complex, Floats, tuple[int, int]]:
    """Return object, gradient image and dose by physics alone, and the canvas's origin."""
    truth = simulated.ground_truth
    scan = dataclasses.replace(simulated.scan, object_guess=np.ones_like(truth))
    solver = prepare_solver(ops, scan, inference, lambda: None)
    for _ in range(inference.refine_iterations):
        solver.one_pass()
    solver.finish()
    direction, dose = solver.present_direction()
    arrays = [ops.numpy(one).copy() for one in (solver.canvas_object, direction, dose)]
    return arrays[0], arrays[1], arrays[2], solver.problem.canvas.origin_px


def make_case(ops: Ops, seed: int, index: int) -> Case:
    """Simulate and reconstruct a scan; compare with the known object."""
    config, inference = draw_settings(seed, index)
    simulated = simulate(config)
    found, direction, dose, origin = reconstructed(ops, simulated, inference)
    region, truth_region = _regions(simulated, origin, found.shape)
    features = compute_features(NumpyOps(), found, direction, dose)
    truth = _registered(found[region], simulated.ground_truth[truth_region], inference)
    size = (features.scale * features.coverage)[region]
    target = (truth - found[region]) * np.conj(features.phase) / size
    covered = np.minimum(dose[region] / (WELL_COVERED * float(dose.max())), 1)
    return Case(
        np.stack([channel[region] for channel in features.channels]).astype(np.float32),
        np.clip(np.stack([target.real, target.imag]), -LARGEST_TARGET, LARGEST_TARGET).astype(
            np.float32
        ),
        (size**2 * covered**2).astype(np.float32),
        {**config.model_dump(), 'update_probe': inference.update_probe},
    )


def _regions(
    simulated: SimulatedScan, origin: tuple[int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the scanned field and a margin, on the canvas and on the known object."""
    reach = round(REACH * simulated.config.frame_size)
    positions = simulated.scan.positions_px
    low = np.floor(positions.min(axis=0)).astype(int) - reach
    high = np.ceil(positions.max(axis=0)).astype(int) + reach
    low = np.maximum(low, np.maximum(np.asarray(origin), 0))
    high = np.minimum(high, np.asarray(origin) + shape)
    high = np.minimum(high, simulated.ground_truth.shape)
    on_canvas = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True))
    on_truth = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return (on_canvas[0], on_canvas[1]), (on_truth[0], on_truth[1])


def _registered(found: Complex, truth: Complex, inference: InferenceConfig) -> Complex:
    """Return the known object with the scale, ramp and shift of a reconstruction."""
    if inference.update_probe == 'on':
        # A refined probe leaves the object's position open; a fixed one does not.
        shift = -np.asarray(score(found, truth).shift_px)
        if 0 < np.abs(shift).max() < 3:
            parts = [spline_shift(part, shift, mode='nearest') for part in (truth.real, truth.imag)]
            truth = (parts[0] + 1j * parts[1]).astype(np.complex64)
    return aligned(truth, found).astype(np.complex64)
