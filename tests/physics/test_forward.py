"""Laws of the forward model."""

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.physics.forward import shift_ramps, shifted_probes
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from tests.helpers import make_probe
from tests.physics.world import (
    Values,
    dft_matrix,
    explicit_counts,
    explicit_probes,
    make_counts,
    make_waves,
    make_world,
    relative,
)


def shifted(ops: Ops, probe: Values, shift_px: tuple[float, float]) -> Values:
    ramps = shift_ramps(ops, ops.array(np.array([shift_px], np.float32)), probe.shape[-1])
    return np.asarray(ops.numpy(shifted_probes(ops, ops.array(probe), ramps))[0])


@pytest.mark.parametrize('size', [16, 20, 21])
@pytest.mark.parametrize('modes', [1, 3])
def test_counts_are_those_of_the_explicit_fourier_matrix(ops: Ops, size: int, modes: int) -> None:
    world = make_world(size, modes)
    counts = ops.numpy(make_counts(ops, world))
    assert counts.dtype == np.float32
    assert relative(counts, explicit_counts(world)) < 1e-5


def test_numpy_keeps_double_precision() -> None:
    # But for the frequencies of the shift, which are float32.
    world = make_world().in_double()
    assert relative(make_counts(NumpyOps(), world), explicit_counts(world)) < 1e-8


def test_waves_keep_their_phase(ops: Ops) -> None:
    world = make_world()
    dft = dft_matrix(world.size)
    waves = dft @ (explicit_probes(world) * world.patches[:, None]) @ dft.T
    assert relative(ops.numpy(make_waves(ops, world)), waves) < 1e-5


def test_photons_behind_the_sample_reach_the_detector(ops: Ops) -> None:
    world = make_world(modes=3)
    behind = np.abs(explicit_probes(world) * world.patches[:, None]) ** 2
    counts = ops.numpy(make_counts(ops, world))
    np.testing.assert_allclose(counts.sum((1, 2)), behind.sum((1, 2, 3)), rtol=1e-5)


def test_empty_space_lets_all_photons_through(ops: Ops) -> None:
    world = make_world(modes=2, photons=1e4)
    empty = dataclasses.replace(world, canvas_object=np.ones_like(world.canvas_object))
    counts = ops.numpy(make_counts(ops, empty))
    np.testing.assert_allclose(counts.sum((1, 2)), 1e4, rtol=1e-5)


@pytest.mark.parametrize('size', [16, 21])
def test_whole_pixel_shift_is_a_roll(ops: Ops, size: int) -> None:
    probe = make_probe(size, modes=2)
    moved = shifted(ops, probe, (3, -2))
    assert relative(moved, np.roll(probe, (3, -2), axis=(1, 2))) < 1e-5


def test_shift_forth_and_back_changes_nothing(ops: Ops) -> None:
    probe = make_probe(20, modes=2)
    there = shifted(ops, probe, (0.37, -0.22))
    assert relative(there, probe) > 0.05
    assert relative(shifted(ops, there, (-0.37, 0.22)), probe) < 1e-5


@pytest.mark.parametrize('shift_px', [(0.3, 0.0), (0.0, -0.4), (0.45, 0.2)])
def test_shift_moves_a_band_limited_wave_as_its_formula_says(
    ops: Ops, shift_px: tuple[float, float]
) -> None:
    size = 20
    y, x = np.mgrid[:size, :size]
    tones = {(0, 0): 1.0, (2, -3): 0.7j, (-5, 1): 0.4 - 0.2j, (9, 4): 0.3, (1, 8): -0.25j}

    def wave(row: float, column: float) -> Values:
        return np.asarray(
            sum(
                weight * np.exp(2j * np.pi * (ky * (y - row) + kx * (x - column)) / size)
                for (ky, kx), weight in tones.items()
            )
        )

    still = wave(0, 0)[None].astype(np.complex64)
    assert relative(shifted(ops, still, shift_px), wave(*shift_px)[None]) < 1e-5


def test_each_position_has_its_own_shift(ops: Ops) -> None:
    world = make_world(modes=2)
    ramps = shift_ramps(ops, ops.array(world.shifts_px), world.size)
    probes = ops.numpy(shifted_probes(ops, ops.array(world.probe), ramps))
    assert relative(probes, explicit_probes(world)) < 1e-5


def test_modes_add_incoherently(ops: Ops) -> None:
    world = make_world(modes=3)
    alone = [
        ops.numpy(make_counts(ops, dataclasses.replace(world, probe=world.probe[m : m + 1])))
        for m in range(3)
    ]
    assert relative(ops.numpy(make_counts(ops, world)), np.sum(alone, axis=0)) < 1e-5
    # The phases between modes must not matter, though they would if amplitudes were added.
    turned = world.probe * np.exp(1j * np.array([0, 1, 2.5])).astype(np.complex64)[:, None, None]
    counts = ops.numpy(make_counts(ops, dataclasses.replace(world, probe=turned)))
    assert relative(counts, np.sum(alone, axis=0)) < 1e-5


def test_global_phase_changes_nothing(ops: Ops) -> None:
    world = make_world()
    turn = np.complex64(np.exp(0.7j))
    counts = ops.numpy(make_counts(ops, world))
    for turned in (
        dataclasses.replace(world, canvas_object=world.canvas_object * turn),
        dataclasses.replace(world, probe=world.probe * turn),
    ):
        assert relative(ops.numpy(make_counts(ops, turned)), counts) < 1e-5


def test_scale_moves_between_probe_and_object(ops: Ops) -> None:
    world = make_world()
    gauged = dataclasses.replace(
        world, probe=world.probe * 4, canvas_object=world.canvas_object / 4
    )
    counts = ops.numpy(make_counts(ops, world))
    assert relative(ops.numpy(make_counts(ops, gauged)), counts) < 1e-5
    brighter = dataclasses.replace(world, probe=world.probe * 2)
    assert relative(ops.numpy(make_counts(ops, brighter)), counts * 4) < 1e-5
