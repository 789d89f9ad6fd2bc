"""A probe that is refined starts from the frames' own modulus and the guess's phases."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.probe_start import Moments, probe_without_guess, start_probe
from tests.helpers import make_known_scan, make_scan
from tests.solver.scans import core_score, with_probe


def spectrum(probe: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex128]:
    return np.asarray(np.fft.fft2(probe, norm='ortho'), np.complex128)


def blurred(probe: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return a probe whose modulus at the detector is wrong and whose phases are right."""
    wave = np.fft.fft2(probe)
    return np.asarray(np.fft.ifft2(wave / np.sqrt(np.abs(wave) + 1e-3)), np.complex64)


def no_check() -> None:
    return None


def test_moments_are_those_of_all_good_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = make_scan(side=4, bad_pixels=9)
    monkeypatch.setattr('ptychopinn_plugin.solver.trials.probe_start.CHUNK_VALUES', 3 * 32 * 32)
    found = Moments.of(scan)
    counts = np.fft.ifftshift(np.where(scan.mask, 0, scan.counts).astype(np.float64), axes=(1, 2))
    rest = counts - counts.mean(axis=0)
    np.testing.assert_allclose(found.mean, counts.mean(axis=0))
    for power, moment in ((2, found.variance), (3, found.third), (4, found.fourth)):
        np.testing.assert_allclose(moment, np.mean(rest**power, axis=0), rtol=1e-9, atol=1e-6)


def test_moments_tell_the_steady_wave_from_the_scattered_one() -> None:
    rng = np.random.default_rng(0)
    shape = (4000, 8, 8)
    steady = np.linspace(0, 30, 64).reshape(8, 8)
    scattered = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    counts = rng.poisson(np.abs(steady + 10 * scattered / np.sqrt(2)) ** 2).astype(np.float32)
    scan = dataclasses.replace(
        make_scan(),
        counts=np.fft.fftshift(counts, axes=(1, 2)),
        positions_px=rng.uniform(20, 60, (len(counts), 2)),
        probe=np.ones((1, 8, 8), np.complex64),
        mask=np.zeros((8, 8), bool),
    )
    found = Moments.of(scan).unscattered_modulus()
    strong = steady > 10
    np.testing.assert_allclose(found[strong], steady[strong], rtol=0.1)
    assert found[0, 0] < 5  # sqrt(mean) is 10 there: all of it is scattered


def test_the_start_is_nearer_the_probe_than_the_mean_frame() -> None:
    scan = make_known_scan(side=20, step_px=5.0, photons=1e6).scan
    true = np.abs(spectrum(scan.probe))
    start = np.abs(spectrum(start_probe(with_probe(scan, blurred))))
    mean = np.sqrt(Moments.of(scan).mean)[None]
    errors = [
        np.linalg.norm(one / np.linalg.norm(one) - true / np.linalg.norm(true))
        for one in (start, mean)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_phases_and_shares_of_the_modes_are_the_guesss() -> None:
    scan = make_scan(modes=2, side=8)
    guess, start = spectrum(scan.probe), spectrum(start_probe(scan))
    lit = (np.abs(guess) > 1e-3 * np.abs(guess).max()).all(axis=0) & (
        np.abs(start) > 1e-3 * np.abs(start).max()
    ).all(axis=0)
    assert lit.sum() > 20
    ratio = start[:, lit] / guess[:, lit]
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=2e-3)
    assert np.abs(np.angle(ratio)).max() < 2e-3


def test_the_photons_are_those_of_the_mean_frame() -> None:
    scan = make_scan(side=8)
    weak = with_probe(scan, lambda probe: probe / np.float32(3))
    power = float(np.sum(np.abs(start_probe(weak)) ** 2))
    assert power == pytest.approx(float(scan.counts.sum(axis=(1, 2)).mean()), rel=1e-3)


def test_bad_pixels_keep_the_guess() -> None:
    scan = make_scan(side=8, bad_pixels=60)
    bad = np.fft.ifftshift(scan.mask)
    guess, start = (spectrum(probe)[:, bad] for probe in (scan.probe, start_probe(scan)))
    np.testing.assert_allclose(start, guess, atol=1e-3 * np.abs(spectrum(scan.probe)).max())
    assert np.abs(guess).max() > 0


@pytest.mark.parametrize('photons', [0, 1, 30])
def test_few_photons_still_give_a_finite_probe(photons: float) -> None:
    scan = make_scan(photons=1e3)
    counts = np.random.default_rng(0).poisson(scan.counts * photons / 1e3).astype(np.float32)
    counts[0, 16, 16] = 1
    assert np.isfinite(start_probe(dataclasses.replace(scan, counts=counts))).all()


def test_a_probe_is_found_without_a_guess() -> None:
    known = make_known_scan(side=8, step_px=4.0, photons=1e5)

    def without(scan: ScanData) -> ScanData:
        return with_probe(scan, lambda probe: np.ones_like(probe))

    probe = probe_without_guess(NumpyOps(), without(known.scan), no_check)
    np.testing.assert_array_equal(probe, probe_without_guess(NumpyOps(), known.scan, no_check))
    scan = with_probe(known.scan, lambda _: probe)
    solver = prepare_solver(NumpyOps(), scan, InferenceConfig(update_probe=True), no_check)
    for _ in range(20):
        solver.one_pass()
    assert solver.finish() < 0.02
    assert core_score(solver, known).nrmse < 0.2
