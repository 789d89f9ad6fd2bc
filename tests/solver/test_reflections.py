"""Reflections of the exit waves: their projections, and where they stay."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.reflections import (
    SCHEDULE,
    Reflections,
    measured_waves,
    relaxations,
    relaxed_waves,
)
from tests.helpers import make_known_scan, make_probe
from tests.solver.scans import Values

SIZE = 16


def random_waves(modes: int = 2, seed: int = 0) -> Values:
    rng = np.random.default_rng(seed)
    shape = (3, modes, SIZE, SIZE)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def projected(ops: Ops, waves: Values, amplitudes: Values, good: Values | None) -> Values:
    norm = ops.array(np.array(SIZE**-2.0, np.float32))
    placed = None if good is None else ops.array(good)
    found = measured_waves(ops, ops.array(waves), ops.array(amplitudes), norm, placed)
    return ops.numpy(found)


def moduli(waves: Values) -> Values:
    return np.asarray(np.sqrt(np.sum(np.abs(np.fft.fft2(waves)) ** 2, axis=1)))


def test_projected_waves_have_the_measured_modulus_and_their_own_phases(ops: Ops) -> None:
    waves = random_waves()
    amplitudes = np.random.default_rng(1).uniform(0, 9, (3, SIZE, SIZE)).astype(np.float32)
    found = projected(ops, waves, amplitudes, None)
    np.testing.assert_allclose(moduli(found), amplitudes, atol=1e-4)
    turned = np.fft.fft2(found) * np.conj(np.fft.fft2(waves))
    assert np.abs(turned.imag).max() < 1e-4 * np.abs(turned).max()


def test_bad_pixels_keep_their_waves(ops: Ops) -> None:
    waves, good = random_waves(), np.ones((SIZE, SIZE), np.float32)
    good[3:7, 2] = 0
    found = np.fft.fft2(projected(ops, waves, np.zeros((3, SIZE, SIZE), np.float32), good))
    kept = good == 0
    np.testing.assert_allclose(found[..., kept], np.fft.fft2(waves)[..., kept], rtol=1e-3)
    assert np.abs(found[..., ~kept]).max() < 1e-3


def test_the_step_is_that_of_the_formula(ops: Ops) -> None:
    waves, measured, probes = (random_waves(seed=seed) for seed in range(3))
    rng = np.random.default_rng(5)
    image = (rng.normal(size=(20, 24)) + 1j * rng.normal(size=(20, 24))).astype(np.complex64)
    corners = np.array([[0, 0], [4, 8], [1, 5]])
    beta = 0.8
    patches = np.stack([image[y : y + SIZE, x : x + SIZE] for y, x in corners])
    # R_overlap R_modulus psi = 2 P_overlap(2 P_modulus psi - psi) - (2 P_modulus psi - psi)
    twice = 2 * probes * patches[:, None] - (2 * measured - waves)
    wanted = beta / 2 * (twice + waves) + (1 - beta) * measured
    psi, projection, canvas, lights = (ops.array(one) for one in (waves, measured, image, probes))
    relaxation = ops.array(np.array(beta, np.float32))
    found = relaxed_waves(ops, psi, projection, canvas, lights, ops.array(corners), relaxation)
    np.testing.assert_allclose(ops.numpy(found), wanted, atol=1e-5)


@pytest.mark.parametrize('iterations', [1, 7, 60, 141])
def test_every_iteration_has_a_relaxation(iterations: int) -> None:
    found = list(relaxations(iterations))
    assert len(found) == iterations
    assert found == sorted(found, reverse=True)
    assert set(found) <= {beta for beta, _ in SCHEDULE}


@pytest.mark.parametrize('modes', [1, 2])
def test_the_object_stays_where_it_explains_the_frames(ops: Ops, modes: int) -> None:
    known = make_known_scan(side=4, step_px=9, modes=modes, noise=False, bad_pixels=20)
    problem = Problem.for_scan(ops, known.scan, 1, fixed_probe=True)
    reflections = Reflections(problem, with_prior=False)
    reflections.canvas_object = ops.array(known.ground_truth.copy())
    found = ops.numpy(reflections.run(4))
    core = scanned_core(known.scan.positions_px)
    np.testing.assert_allclose(found[core], known.ground_truth[core], atol=2e-3)


def test_a_probe_that_is_too_large_to_keep_is_shifted_anew(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = make_known_scan(side=3, step_px=9).scan

    def found() -> Values:
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=True)
        found = ops.numpy(Reflections(problem, with_prior=False).run(3))
        return found[scanned_core(scan.positions_px)]

    kept = found()
    monkeypatch.setattr('ptychopinn_plugin.solver.device_arrays.PROBE_CACHE_BYTES', 0)
    # Where hardly any light falls on the detector, a phase is rounding error.
    np.testing.assert_allclose(found(), kept, atol=1e-2)


def test_the_probe_of_these_tests_is_complex_and_asymmetric() -> None:
    probe = make_probe(32)[0]
    assert np.abs(probe.imag).max() > 0.1 * np.abs(probe).max()
    assert np.abs(probe - probe[::-1, ::-1]).max() > 0.1 * np.abs(probe).max()
