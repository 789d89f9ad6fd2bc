"""A probe that is out of focus is found by short reconstructions, and named where it is clear."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.scan import ScanData, ScanMetadata
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.trials.defocus_trials import (
    BEHIND,
    EARLY_PASSES,
    KEPT,
    PASSES,
    TRIED_SHARES,
    best_focus,
    focus_hint,
    propagated,
    short_fit,
)
from ptychopinn_plugin.solver.trials.pupil import pupil
from tests.solver.scans import known_scan, with_probe

PIXEL_M, ENERGY_EV = 5e-8, 9000.0


def scan(photons: float = 1e5) -> ScanData:
    known = known_scan(side=5, noise=True, photons=photons).scan
    metadata = ScanMetadata(pixel_size_m=(PIXEL_M, PIXEL_M), photon_energy_ev=ENERGY_EV)
    return dataclasses.replace(known, metadata=metadata)


def no_check() -> None:
    return None


def fresnel(probe: np.ndarray, distance_m: float) -> np.ndarray:
    """Propagate by the transfer function of a wave exp(i k z)."""
    k = np.fft.fftfreq(probe.shape[-1]) / PIXEL_M
    square = k[:, None] ** 2 + k**2
    transfer = np.exp(-1j * np.pi * EV_METRE / ENERGY_EV * distance_m * square)
    return np.asarray(np.fft.ifft2(np.fft.fft2(probe) * transfer), np.complex64)


def test_propagation_moves_light_at_the_edge_of_the_pupil() -> None:
    probe = scan().probe
    moved = propagated(probe, 3.0)
    np.testing.assert_allclose(np.sum(np.abs(moved) ** 2), np.sum(np.abs(probe) ** 2), rtol=1e-5)
    np.testing.assert_allclose(propagated(moved, -3.0), probe, atol=1e-4 * np.abs(probe).max())
    # A disc that is in focus becomes a disc of that radius, but for what its edge diffracts.
    k = np.fft.fftfreq(256)
    disc = (np.hypot(k[:, None], k) < 0.2).astype(np.complex64)
    spread = np.abs(propagated(np.fft.ifft2(disc)[None].astype(np.complex64), 40.0)[0]) ** 2
    x = np.fft.fftfreq(256) * 256
    radius = np.sqrt(2 * np.sum(spread * (x[:, None] ** 2 + x**2)) / spread.sum())
    assert radius == pytest.approx(40, rel=0.1)
    assert pupil(np.abs(disc).astype(np.float64) ** 2)[1] == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize('micrometres', [-800.0, 1200.0])
def test_the_distance_is_told_in_micrometres(micrometres: float) -> None:
    wrong = with_probe(scan(), lambda probe: fresnel(probe, micrometres * 1e-6))
    (sentence,) = focus_hint(wrong)
    told = re.search(r'propagated by ([+-][\d.e+]+) um', sentence)
    assert told is not None
    assert float(told[1]) == pytest.approx(-micrometres, rel=0.1)


@pytest.mark.parametrize('photons', [1e3, 1e5])
def test_a_probe_in_focus_or_of_an_unknown_instrument_gets_no_remark(photons: float) -> None:
    assert focus_hint(scan(photons)) == ()
    wrong = with_probe(scan(photons), lambda probe: fresnel(probe, 1.2e-3))
    assert focus_hint(dataclasses.replace(wrong, metadata=ScanMetadata())) == ()


def test_the_best_distance_explains_as_much_as_the_right_probe() -> None:
    right = scan()
    wrong = with_probe(right, lambda probe: propagated(probe, 5.0))
    focus = best_focus(wrong, no_check)
    assert focus.radius_px == pytest.approx(-5, abs=0.5)
    assert focus.misfits.found < 1.3 * short_fit(right, no_check).found
    assert focus.misfits.found == pytest.approx(
        short_fit(with_probe(wrong, lambda _: focus.probe), no_check).found
    )


@pytest.fixture
def counted_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one item with each pass of any solver."""
    passes: list[int] = []
    one_pass = AcceleratedSolver.one_pass

    def counted(solver: AcceleratedSolver) -> float:
        passes.append(solver.passes)
        return one_pass(solver)

    monkeypatch.setattr(AcceleratedSolver, 'one_pass', counted)
    return passes


def test_distances_that_fit_worst_early_are_given_up(counted_passes: list[int]) -> None:
    best_focus(scan(), no_check, halvings=0)
    distances = 1 + 2 * len(TRIED_SHARES)
    assert len(counted_passes) == EARLY_PASSES * distances + (PASSES - EARLY_PASSES) * KEPT


def test_distances_behind_another_probe_are_all_given_up(counted_passes: list[int]) -> None:
    right = scan()
    rival = best_focus(right, no_check, halvings=0).early
    wrong = with_probe(right, lambda probe: np.roll(probe, 3, axis=-1) * probe.conj())
    del counted_passes[:]
    behind = best_focus(wrong, no_check, rival=rival)
    assert len(counted_passes) == EARLY_PASSES * (1 + 2 * len(TRIED_SHARES))
    assert behind.early > BEHIND * rival


def test_a_probe_that_keeps_up_with_another_one_is_tried_to_the_end(
    counted_passes: list[int],
) -> None:
    alone = best_focus(scan(), no_check)
    passes = len(counted_passes)
    focus = best_focus(scan(), no_check, rival=alone.early)
    assert len(counted_passes) == 2 * passes
    assert focus.radius_px == alone.radius_px


def test_a_stop_ends_the_trials() -> None:
    def stop() -> None:
        raise Cancelled('stopped')

    with pytest.raises(Cancelled):
        best_focus(scan(), stop)
