"""A result as the start of another reconstruction of its scan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import PassHistory, continue_from
from tests.io.result_examples import known_reconstruction

CENTER_M = (3e-6, -2e-6)


def test_object_probe_and_positions_are_those_of_the_result() -> None:
    scan, result = known_reconstruction(modes=2)
    result = dataclasses.replace(
        result, probe=result.probe * 2, positions_px=result.positions_px + 0.25
    )
    more = continue_from(scan, result, 'a.npz')
    np.testing.assert_array_equal(more.probe, result.probe)
    np.testing.assert_array_equal(more.positions_px, result.positions_px)
    assert more.object_guess is not None
    reached = np.isfinite(result.object_canvas)
    np.testing.assert_array_equal(more.object_guess[reached], result.object_canvas[reached])
    assert (more.object_guess[~reached] == 1).all()
    assert 'a.npz' in more.decisions[-1]
    assert not more.metadata.probe_is_refined
    refined = dataclasses.replace(result, probe_refined=True)
    assert continue_from(scan, refined).metadata.probe_is_refined


@pytest.mark.parametrize('own_coordinates', [False, True])
def test_frames_stay_where_they_are_in_the_world(own_coordinates: bool) -> None:
    # The object has begun at (-4, -7); a product counts from there, an .npz says so.
    scan, result = known_reconstruction()
    metadata = dataclasses.replace(
        scan.metadata, pixel_size_m=(1e-8, 2e-8), object_center_m=CENTER_M
    )
    scan = dataclasses.replace(scan, metadata=metadata)
    origin = np.array([-4, -7])
    result = dataclasses.replace(result, origin_px=(-4, -7))
    if own_coordinates:
        moved = result.positions_px - origin
        result = dataclasses.replace(result, origin_px=(0, 0), positions_px=moved)
    more = continue_from(scan, result)
    np.testing.assert_allclose(more.positions_px, scan.positions_px - origin)
    worlds = []
    for one in (scan, more):
        center, guess = one.metadata.object_center_m, one.object_guess
        assert center is not None
        assert guess is not None
        middle = np.array(guess.shape) / 2
        worlds.append(center + (one.positions_px - middle) * (1e-8, 2e-8))
    np.testing.assert_allclose(worlds[1], worlds[0], atol=1e-15)


def test_a_result_of_other_frames_is_refused() -> None:
    scan, result = known_reconstruction()
    few = scan.subset(np.arange(20))
    small = dataclasses.replace(result, probe=result.probe[:, :16, :16])
    with pytest.raises(ScanDataError) as caught:
        continue_from(few, small, 'a.npz')
    assert 'a.npz has 25 positions, the scan has 20 frames' in str(caught.value)
    assert '16 pixels a side, the frames of the scan have 32' in str(caught.value)


def test_a_result_with_other_object_pixels_is_refused() -> None:
    scan, result = known_reconstruction()
    scan = dataclasses.replace(
        scan, metadata=dataclasses.replace(scan.metadata, pixel_size_m=(1e-8, 1e-8))
    )
    continue_from(scan, dataclasses.replace(result, pixel_size_m=(1.001e-8, 1e-8)))
    with pytest.raises(ScanDataError, match=r'of a.npz are 10 x 20 nm, those of the scan 10 x 10'):
        continue_from(scan, dataclasses.replace(result, pixel_size_m=(1e-8, 2e-8)), 'a.npz')


def test_a_result_of_frames_elsewhere_is_refused() -> None:
    """Also of the same frames in another order; not one that was oriented or refined."""
    scan, result = known_reconstruction()
    rng = np.random.default_rng(3)
    oriented = result.positions_px[:, ::-1] * (1.1, -0.9) + 40
    continue_from(scan, dataclasses.replace(result, positions_px=oriented))
    moved = dataclasses.replace(result, positions_px=oriented + rng.normal(0, 1, (25, 2)))
    for unknown_or_moved in (PassHistory(24), PassHistory(24, 1, moves_frames=True)):
        continue_from(scan, dataclasses.replace(moved, history=unknown_or_moved))
    with pytest.raises(ScanDataError, match=r'are 1\.\d px off those of the scan'):
        continue_from(scan, dataclasses.replace(moved, history=PassHistory(24, 1)))
    shuffled = result.positions_px[rng.permutation(25)]
    with pytest.raises(ScanDataError, match='same frames in the same order'):
        continue_from(scan, dataclasses.replace(result, positions_px=shuffled))
