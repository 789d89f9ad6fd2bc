"""Refined positions reach the product that Ptychodus gets back; unchanged ones stay the given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychodus.api.reconstruct import ReconstructInput

from ptychopinn_plugin.hosts.ptychodus.output_product import build_output_product
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from tests.io.result_examples import perfect_reconstruction

OFFSET_PX = np.array([0.25, -0.5])


def test_refined_positions_replace_the_given_ones(parameters: ReconstructInput) -> None:
    given, scan = parameters.product, scan_from_input(parameters)
    assert scan.object_guess is not None
    found = perfect_reconstruction(scan, scan.object_guess)
    same = build_output_product(given, scan, found)
    assert same.probe_positions is given.probe_positions
    refined = dataclasses.replace(found, positions_px=scan.positions_px + OFFSET_PX)
    product = build_output_product(given, scan, refined)
    assert scan.metadata.pixel_size_m is not None
    offset_m = OFFSET_PX * scan.metadata.pixel_size_m
    for old, new in zip(given.probe_positions, product.probe_positions, strict=True):
        assert new.index == old.index
        np.testing.assert_allclose((new.y_m - old.y_m, new.x_m - old.x_m), offset_m, rtol=1e-6)


@pytest.mark.parametrize('refined', [False, True])
def test_a_refined_probe_replaces_the_given_one(
    parameters: ReconstructInput, refined: bool
) -> None:
    given, scan = parameters.product, scan_from_input(parameters)
    assert scan.object_guess is not None
    found = perfect_reconstruction(scan, scan.object_guess)
    found = dataclasses.replace(found, probe=2 * found.probe, probe_refined=refined)
    product = build_output_product(given, scan, found)
    assert (product.probes is given.probes) is not refined
    factor = 2 if refined else 1
    np.testing.assert_allclose(
        product.probes.get_probe_no_opr().get_array(),
        factor * given.probes.get_probe_no_opr().get_array(),
        rtol=1e-5,
    )


def test_the_product_says_whether_its_probe_was_refined(parameters: ReconstructInput) -> None:
    given, scan = parameters.product, scan_from_input(parameters)
    assert scan.object_guess is not None
    assert not scan.metadata.probe_is_refined
    found = perfect_reconstruction(scan, scan.object_guess)
    for refined in (False, True):
        one = dataclasses.replace(found, probe_refined=refined)
        product = build_output_product(given, scan, one)
        again = scan_from_input(dataclasses.replace(parameters, product=product))
        assert again.metadata.probe_is_refined is refined
    # A run that keeps a refined probe leaves it a refined one.
    kept = build_output_product(product, again, found)
    last = scan_from_input(dataclasses.replace(parameters, product=kept))
    assert last.metadata.probe_is_refined
    # The losses of another program say it too; a probe from a file is another one.
    other = dataclasses.replace(given, losses=product.losses)
    foreign = dataclasses.replace(parameters, product=other)
    assert scan_from_input(foreign).metadata.probe_is_refined
    assert not scan_from_input(foreign, probe=scan.probe).metadata.probe_is_refined


def test_frames_that_were_left_out_are_not_in_the_product(parameters: ReconstructInput) -> None:
    frames = parameters.diffraction_patterns.copy()
    frames[[4, 9]] = 0
    given = dataclasses.replace(parameters, diffraction_patterns=frames)
    scan = scan_from_input(given)
    assert scan.object_guess is not None
    found = perfect_reconstruction(scan, scan.object_guess)
    product = build_output_product(given.product, scan, found)
    numbers = [position.index for position in given.product.probe_positions]
    kept = [number for place, number in enumerate(numbers) if place not in (4, 9)]
    assert [position.index for position in product.probe_positions] == kept
    old = {position.index: position for position in given.product.probe_positions}
    for position in product.probe_positions:
        assert position.x_m == pytest.approx(old[position.index].x_m)
