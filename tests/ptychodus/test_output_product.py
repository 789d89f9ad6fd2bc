"""Refined positions reach the product that Ptychodus gets back; unchanged ones stay the given."""

from __future__ import annotations

import dataclasses

import numpy as np
from ptychodus.api.reconstruct import ReconstructInput

from ptychopinn_plugin.hosts.ptychodus.output_product import build_output_product
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from tests.io.result_examples import perfect_reconstruction

OFFSET_PX = np.array([0.25, -0.5])


def test_refined_positions_replace_the_given_ones(parameters: ReconstructInput) -> None:
    given, scan = parameters.product, scan_from_input(parameters)
    assert scan.object_guess is not None
    found = perfect_reconstruction(scan, scan.object_guess)
    same = build_output_product(given, scan, found, update_probe=False)
    assert same.probe_positions is given.probe_positions
    refined = dataclasses.replace(found, positions_px=scan.positions_px + OFFSET_PX)
    product = build_output_product(given, scan, refined, update_probe=False)
    assert scan.metadata.pixel_size_m is not None
    offset_m = OFFSET_PX * scan.metadata.pixel_size_m
    for old, new in zip(given.probe_positions, product.probe_positions, strict=True):
        assert new.index == old.index
        np.testing.assert_allclose((new.y_m - old.y_m, new.x_m - old.x_m), offset_m, rtol=1e-6)
