"""Probes that vary from position to position, in the form of Ptychodus and in ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.probe import ProbeSequence

from ptychopinn_plugin.io.ptychodus.probe_relaxation import make_probes, pair_weights, read_probes
from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus_folder
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.scan import Estimates
from tests.helpers import make_scan
from tests.io.result_examples import perfect_reconstruction
from tests.scan.test_estimates import estimates_of

PIXELS = PixelGeometry(width_m=1e-8, height_m=1e-8)
IN_A_PRODUCT = ('opr_modes', 'opr_weights', 'flux')


def main_probes(probe: np.ndarray, estimates: Estimates) -> np.ndarray:
    """Return the main mode of each frame with its flux, (n, N, N)."""
    assert estimates.opr_weights is not None
    assert estimates.opr_modes is not None
    mains = probe[0] + np.tensordot(estimates.opr_weights, estimates.opr_modes, 1)
    flux = np.ones(len(mains)) if estimates.flux is None else estimates.flux
    return np.asarray(np.sqrt(flux)[:, None, None] * mains)


@pytest.mark.parametrize('modes', [1, 3])
def test_ptychodus_sees_the_probe_of_each_frame(modes: int) -> None:
    scan = make_scan(side=3, modes=modes)
    known = estimates_of(scan)
    probes = make_probes(scan.probe, known, PIXELS)
    assert len(probes) == 9
    wanted = main_probes(scan.probe, known)
    for frame, probe in enumerate(probes):
        np.testing.assert_allclose(probe.get_array()[0], wanted[frame], atol=1e-3)
        np.testing.assert_array_equal(probe.get_array()[1:], scan.probe[1:])


def test_what_ptychodus_sees_comes_back() -> None:
    scan = make_scan(side=3, modes=2)
    known = estimates_of(scan)
    decisions: list[str] = []
    probe, found = read_probes(make_probes(scan.probe, known, PIXELS), 9, decisions)
    assert known.flux is not None
    assert found.flux is not None
    np.testing.assert_allclose(found.flux, known.flux / known.flux.mean(), rtol=1e-6)
    scale = np.sqrt(known.flux.mean())
    np.testing.assert_allclose(probe[0], scale * scan.probe[0], rtol=1e-5)
    np.testing.assert_allclose(main_probes(probe, found), main_probes(scan.probe, known), atol=1e-3)
    assert any('2 modes of orthogonal relaxation' in one for one in decisions)
    assert any('the flux varies by' in one for one in decisions)


def test_weights_of_another_program_are_changes_from_the_mean() -> None:
    scan = make_scan(side=3, modes=2)
    rng = np.random.default_rng(1)
    array = np.stack([scan.probe, 0.2j * scan.probe]).astype(np.complex128)
    weights = rng.normal(size=(9, 2))
    probes = ProbeSequence(array, weights, PIXELS)
    probe, found = read_probes(probes, 9, [])
    wanted = np.stack([one.get_array()[0] for one in probes])
    assert found.flux is None
    np.testing.assert_allclose(main_probes(probe, found), wanted, atol=1e-3)
    np.testing.assert_allclose(probe[0], wanted.mean(axis=0), atol=1e-3)


def test_weights_that_do_not_belong_to_the_frames_give_the_mean_probe() -> None:
    scan = make_scan(side=3)
    probes = make_probes(scan.probe, estimates_of(scan), PIXELS)
    decisions: list[str] = []
    probe, found = read_probes(probes, 8, decisions)
    assert not found.arrays()
    mean = np.mean([one.get_array()[0] for one in probes], axis=0)
    np.testing.assert_allclose(probe[0], mean, atol=1e-3)
    assert 'weights for 9 positions where the scan has 8' in decisions[0]
    alone = ProbeSequence(probes.get_array(), None, PIXELS)
    read_probes(alone, 9, decisions)
    assert 'without weights' in decisions[1]


def test_a_steady_beam_has_no_weights() -> None:
    scan = make_scan(side=3)
    assert make_probes(scan.probe, Estimates(), PIXELS).get_opr_weights_or_none() is None
    steady = ProbeSequence(scan.probe[None], np.ones((9, 1)), PIXELS)
    assert not read_probes(steady, 9, [])[1].arrays()


def test_weights_are_paired_as_positions_are() -> None:
    scan = make_scan(side=3)
    weights = np.array([[1.0], [2.0], [4.0], [6.0]])
    probes = ProbeSequence(scan.probe[None], weights, PIXELS)
    # Number 5 twice, number 3 missing.
    paired = pair_weights(probes, np.array([5, 2, 4, 5]), np.array([2, 3, 4, 5]))
    np.testing.assert_allclose(paired.get_opr_weights()[:, 0], [2, 3, 4, 3.5])


@pytest.mark.parametrize('modes', [1, 2])
def test_a_product_keeps_variation_and_flux(tmp_path: Path, modes: int) -> None:
    scan = make_scan(side=3, modes=modes)
    known = estimates_of(scan)
    save_ptychodus_pair(tmp_path, dataclasses.replace(scan, estimates=known))
    read = load_ptychodus_folder(tmp_path)
    assert scan.object_guess is not None
    result = perfect_reconstruction(scan, scan.object_guess)
    result = dataclasses.replace(result, estimates=known)
    save_reconstruction(tmp_path / 'object.h5', result, scan)
    again = load_result(tmp_path / 'object.h5')
    for one, probe in ((read.estimates, read.probe), (again.estimates, again.probe)):
        assert set(one.arrays()) == set(IN_A_PRODUCT)
        wanted = main_probes(scan.probe, known)
        np.testing.assert_allclose(main_probes(probe, one), wanted, atol=1e-3)


def test_frames_without_a_position_leave_their_weights_out(tmp_path: Path) -> None:
    scan = make_scan(side=3)
    known = estimates_of(scan)
    save_ptychodus_pair(tmp_path, dataclasses.replace(scan, estimates=known))
    product = ptychodus_io.load_product(tmp_path / 'product.h5')
    # The product counts from 3 on: frames 0 to 2 have no position, the last ones no frame.
    positions = [dataclasses.replace(p, index=p.index + 3) for p in product.probe_positions]
    moved = dataclasses.replace(product, probe_positions=type(product.probe_positions)(positions))
    ptychodus_io.save_product(tmp_path / 'product.h5', moved)
    read = load_ptychodus_folder(tmp_path)
    assert read.frame_count == 6
    assert read.estimates.flux is not None
    assert known.flux is not None
    ratio = read.estimates.flux / known.flux[:6]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
