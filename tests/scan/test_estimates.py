"""What a scan knows beside object, probe and positions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import Estimates, ScanData, continue_from, orient
from ptychopinn_plugin.scan.frame_outliers import LEFT_OUT
from tests.helpers import make_scan
from tests.io.result_examples import known_reconstruction


def estimates_of(scan: ScanData, seed: int = 3) -> Estimates:
    """Return estimates that fit a scan, two modes of variation among them."""
    rng = np.random.default_rng(seed)
    frames, size = scan.frame_count, scan.frame_size
    return Estimates(
        opr_modes=(0.1 * np.stack([scan.probe[0] * 1j, scan.probe[0].T])).astype(np.complex64),
        opr_weights=rng.normal(size=(frames, 2)).astype(np.float32),
        flux=rng.uniform(0.8, 1.2, frames),
        background=rng.uniform(0, 2, (size, size)).astype(np.float32),
        nominal_positions_px=scan.positions_px + 0.5,
    )


def test_estimates_follow_the_frames() -> None:
    scan = make_scan(side=4)
    known = estimates_of(scan)
    few = dataclasses.replace(scan, estimates=known).subset(np.array([5, 2]))
    found = few.estimates
    assert found.flux is not None
    assert known.flux is not None
    np.testing.assert_array_equal(found.flux, known.flux[[5, 2]])
    assert found.opr_weights is not None
    assert known.opr_weights is not None
    np.testing.assert_array_equal(found.opr_weights, known.opr_weights[[5, 2]])
    assert found.background is known.background
    assert found.opr_modes is known.opr_modes


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'flux': np.ones(15)}, r'flux must be float64 \(16,\), got float64 \(15,\)'),
        ({'flux': np.zeros(16)}, 'flux must be positive in every frame, its least is 0'),
        ({'background': np.full((32, 32), -1, np.float32)}, 'background must hold counts'),
        ({'background': np.zeros((32, 32))}, r'must be float32 \(32, 32\), got float64'),
        ({'background': np.full((32, 32), np.nan, np.float32)}, r'background\[0, 0\] is not fin'),
        ({'opr_weights': None}, 'one of them is missing'),
        ({'opr_weights': np.zeros((16, 3), np.float32)}, r'opr_weights must be float32 \(16, 2\)'),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    scan = make_scan(side=4)
    wrong = dataclasses.replace(estimates_of(scan), **change)
    with pytest.raises(ScanDataError, match=words):
        dataclasses.replace(scan, estimates=wrong)


def test_a_result_hands_its_estimates_on() -> None:
    scan, result = known_reconstruction(origin=(-4, -7))
    known = estimates_of(scan)
    result = dataclasses.replace(result, estimates=known)
    more = continue_from(scan, result)
    assert more.estimates.flux is known.flux
    nominal = more.estimates.nominal_positions_px
    assert nominal is not None
    np.testing.assert_allclose(nominal - more.positions_px, 0.5)
    # A product has no place for a background.
    lacking = dataclasses.replace(result, estimates=Estimates(flux=known.flux))
    own = Estimates(background=known.background)
    again = continue_from(dataclasses.replace(scan, estimates=own), lacking)
    assert again.estimates.background is known.background
    assert again.estimates.flux is known.flux


def test_a_result_of_more_frames_hands_on_those_of_the_scan() -> None:
    scan, result = known_reconstruction()
    known = estimates_of(scan)
    numbers = np.arange(scan.frame_count)
    result = dataclasses.replace(result, estimates=known, scan_index=numbers)
    kept = np.delete(numbers, 4)
    few = scan.subset(kept)
    metadata = dataclasses.replace(few.metadata, scan_index=kept)
    said = f'1 of 25 frames without light {LEFT_OUT} 4'
    few = dataclasses.replace(few, metadata=metadata, decisions=(said,))
    more = continue_from(few, result)
    assert known.flux is not None
    assert more.estimates.flux is not None
    np.testing.assert_array_equal(more.estimates.flux, known.flux[kept])


def test_nominal_positions_belong_to_their_axes() -> None:
    scan = make_scan(side=4)
    scan = dataclasses.replace(scan, estimates=estimates_of(scan))
    turned = orient(scan, OrientationConfig(transpose=True)).estimates
    assert turned.nominal_positions_px is None
    assert turned.flux is scan.estimates.flux
