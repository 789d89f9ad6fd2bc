"""A feature that no training has seen survives the network of the package.

Dots of three standard deviations of phase in each pixel, and a spoke that is missing from a star:
the network may take away noise, not what was measured.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.io.model_file import packaged_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulatedScan, SimulationConfig, simulate
from ptychopinn_plugin.simulation.simulated_scan import expected_counts

pytestmark = pytest.mark.slow

Image = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex64]
INFERENCE = InferenceConfig(update_probe='off', refine_iterations=20)
MARGIN = 8


def simulated(kind: str, photons: float) -> SimulatedScan:
    return simulate(
        SimulationConfig.model_validate(
            {
                'object_kind': kind,
                'seed': 777,
                'rows': 16,
                'columns': 16,
                'step_px': 6.0,
                'photons_per_frame': photons,
            }
        )
    )


def measured(one: SimulatedScan, sample: Complex) -> ScanData:
    """Return a scan of another sample, with the probe and the positions of a simulated one."""
    counts = expected_counts(sample, one.probe, one.scan.positions_px)
    counts = np.random.default_rng(2).poisson(counts).astype(np.float32)
    return dataclasses.replace(one.scan, counts=counts, object_guess=np.ones_like(sample))


def softened_disc(shape: tuple[int, ...], centre: tuple[float, float], radius: float) -> Image:
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    return np.asarray(1 / (1 + np.exp(4 * (distance - radius))))


class Places(NamedTuple):
    """Places with a dot and places without one, in turn."""

    dots: list[Image]
    free: list[Image]

    @classmethod
    def on(cls, core: tuple[slice, slice], shape: tuple[int, ...], radius: float) -> Places:
        rows, columns = (np.linspace(one.start + 8, one.stop - 8, 4) for one in core)
        found: list[list[Image]] = [[], []]
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                found[(i + j) % 2].append(softened_disc(shape, (row, column), radius))
        return cls(*found)


def phase_beside(found: Complex, sample: Complex, core: tuple[slice, slice]) -> Image:
    """Return the phase of an object beside that of a sample, radians, 0 outside the core."""
    phase = np.zeros(sample.shape)
    registered = aligned(np.nan_to_num(found[core]), sample[core])
    phase[core] = np.angle(registered * np.conj(sample[core]))
    return phase


@pytest.mark.parametrize(('kind', 'photons'), [('siemens', 1e4), ('cells', 1e3)])
def test_dots_of_three_standard_deviations_survive(
    engine: Engine, kind: str, photons: float
) -> None:
    one = simulated(kind, photons)
    sample, core = one.ground_truth, scanned_core(one.scan.positions_px, margin=MARGIN)
    known = engine.reconstruct(measured(one, sample), INFERENCE, None, Monitor())
    assert known.quality is not None
    contrast = 3 * known.quality.typical_phase_error
    places = Places.on(core, sample.shape, 3.0)
    dotted = sample * np.exp(1j * contrast * np.sum(places.dots, axis=0))
    scan = measured(one, dotted.astype(np.complex64))
    kept, noise = [], []
    for model in (None, packaged_model()):
        result = engine.reconstruct(scan, INFERENCE, model, Monitor())
        assert (result.network_change is not None) is (model is not None)
        phase = phase_beside(result.object_canvas, sample, core)
        found = [
            [float(np.sum(place * phase) / np.sum(place**2)) / contrast for place in group]
            for group in places
        ]
        kept.append(np.mean(found[0]) - np.mean(found[1]))
        noise.append(np.std(found[1]))
    assert kept[1] > 0.85 * kept[0]
    assert kept[1] > 3 * noise[1]


def test_a_spoke_that_is_missing_stays_missing(engine: Engine) -> None:
    one = simulated('siemens', 1e3)
    sample, core = one.ground_truth, scanned_core(one.scan.positions_px, margin=MARGIN)
    # As wide as a spoke there: what it covers becomes empty space.
    hole = softened_disc(sample.shape, (core[0].start + 22, core[1].start + 22), 7.0)
    empty = sample[np.unravel_index(np.argmax(np.abs(sample)), sample.shape)]
    without = (sample * (1 - hole) + empty * hole).astype(np.complex64)
    missing = (without - sample)[core]
    scan = measured(one, without)
    kept = []
    for model in (None, packaged_model()):
        result = engine.reconstruct(scan, INFERENCE, model, Monitor())
        found = aligned(np.nan_to_num(result.object_canvas[core]), without[core]) - sample[core]
        kept.append(float(np.vdot(missing, found).real / np.vdot(missing, missing).real))
    assert kept[0] > 0.7
    assert kept[1] > 0.9 * kept[0]
