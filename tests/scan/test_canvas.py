"""The canvas holds every patch and the guess."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ptychopinn_plugin.scan import Canvas
from tests.helpers import make_scan

SCAN = make_scan(frame_size=16, side=3)


@given(
    shift=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
    guess=st.one_of(st.none(), st.tuples(st.integers(1, 90), st.integers(1, 90))),
)
def test_every_patch_lies_on_it(shift: tuple[float, float], guess: tuple[int, int] | None) -> None:
    scan = dataclasses.replace(
        SCAN,
        positions_px=SCAN.positions_px + shift,
        object_guess=None if guess is None else np.ones(guess, np.complex64),
    )
    canvas = Canvas.for_scan(scan)
    first = np.round(scan.positions_px) - 8 - canvas.origin_px
    assert first.min() >= 0
    assert np.all(first + 16 <= canvas.shape)
    if guess is not None:
        assert max(canvas.origin_px) <= 0
        assert np.all(np.add(canvas.shape, canvas.origin_px) >= guess)


def test_a_guess_that_holds_all_is_the_canvas() -> None:
    canvas = Canvas.for_scan(SCAN)
    assert SCAN.object_guess is not None
    assert canvas.shape == SCAN.object_guess.shape
    assert canvas.origin_px == (0, 0)


def test_without_a_guess_it_ends_with_the_last_patch() -> None:
    bare = dataclasses.replace(SCAN, object_guess=None)
    canvas = Canvas.for_scan(bare)
    assert canvas.origin_px == (0, 0)
    np.testing.assert_array_equal(canvas.shape, np.round(bare.positions_px.max(axis=0)) + 8)


def test_far_positions_without_a_guess_need_no_far_canvas() -> None:
    far = dataclasses.replace(SCAN, object_guess=None, positions_px=SCAN.positions_px + 5000)
    canvas = Canvas.for_scan(far)
    assert min(canvas.origin_px) > 4900
    assert max(canvas.shape) < 100
