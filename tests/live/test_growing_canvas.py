"""The canvas grows where positions need it, and images stay where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.live.growing_canvas import grown, moved, patch_bounds, slices_of
from ptychopinn_plugin.scan.canvas import Canvas


def test_a_canvas_holds_the_patches_of_its_positions() -> None:
    canvas = patch_bounds(np.array([-3.2, 10.0]), np.array([7.7, 31.4]), 6)
    assert canvas == Canvas((-6, 7), (17, 27))
    assert grown(None, canvas) == canvas


def test_a_canvas_grows_to_the_sides_that_need_it_and_only_there() -> None:
    first = Canvas((0, 0), (10, 20))
    assert grown(first, Canvas((2, 3), (8, 4))) is first
    below = grown(first, Canvas((-2, 5), (6, 6)))
    # Twelve rows, and half as many more above.
    assert below == Canvas((-8, 0), (18, 20))
    assert grown(first, Canvas((0, 0), (10, 24))) == Canvas((0, 0), (10, 36))


def test_an_image_keeps_its_place() -> None:
    old, new = Canvas((2, 3), (2, 2)), Canvas((0, 1), (5, 6))
    image = np.array([[1, 2], [3, 4]], np.complex64)
    placed = moved(image, old, new, 1)
    assert placed.dtype == np.complex64
    assert placed.shape == (5, 6)
    np.testing.assert_array_equal(placed[slices_of(old, new)], image)
    np.testing.assert_array_equal(placed[2:4, 2:4], image)
    assert placed.sum() == image.sum() + 26


def test_positions_in_another_unit_do_not_fill_the_memory() -> None:
    far = patch_bounds(np.zeros(2), np.array([3e7, 3e7]), 64)
    with pytest.raises(ScanDataError, match='positions are in object pixels'):
        grown(None, far)
