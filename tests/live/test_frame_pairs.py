"""Frames and positions find each other by index, whatever the order."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.live.frame_buffer import FrameBuffer

SIZE = 4


def buffer(memory_limit: int = 2**20, mask: npt.NDArray[np.bool_] | None = None) -> FrameBuffer:
    empty = np.zeros((SIZE, SIZE), np.bool_)
    return FrameBuffer(SIZE, empty if mask is None else mask, memory_limit)


def frames(*numbers: int, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    """Return frames whose values say their number."""
    return np.stack([np.full((SIZE, SIZE), 100 + number) for number in numbers]).astype(dtype)


def points(*numbers: int) -> npt.NDArray[np.float64]:
    return np.array([[number, 2 * number + 0.5] for number in numbers])


def check_pairs(one: FrameBuffer, numbers: list[int]) -> None:
    """Check that each frame has the position of its number."""
    indices, counts, positions = one.in_order()
    assert indices.tolist() == numbers
    np.testing.assert_array_equal(counts[:], frames(*numbers, dtype=np.float32))
    np.testing.assert_array_equal(positions, points(*numbers))


@pytest.mark.parametrize('order', list(itertools.permutations(range(4))))
def test_any_order_gives_the_same_pairs(order: tuple[int, ...]) -> None:
    one = buffer()
    calls: list[tuple[Any, ...]] = [
        (frames(5, 3), None, np.array([5, 3])),
        (None, points(3), np.array([3])),
        (frames(0, 9), points(0, 9), np.array([0, 9])),
        (None, points(5, 7), np.array([5, 7])),
    ]
    for number in order:
        one.append(*calls[number])
    check_pairs(one, [0, 3, 5, 9])
    assert (one.pairs.waiting_frames, one.pairs.waiting_positions) == (0, 1)


def test_without_indices_frames_and_positions_count_for_themselves() -> None:
    one = buffer()
    one.append(None, points(0, 1, 2), None)
    one.append(frames(0)[0], None, None)
    one.append(frames(1), None, None)
    check_pairs(one, [0, 1])
    with pytest.raises(ScanDataError, match='the next frame has the index 2, the next position 3'):
        one.append(frames(2), points(3), None)


def test_frames_beyond_the_limit_are_read_from_the_temporary_file() -> None:
    one = buffer(memory_limit=0)
    assert one.dtype == np.float32
    one.append(frames(0, 1, 2), points(0, 1, 2), None)
    one.append(frames(3, 4), points(3, 4), None)
    assert one.memory_bytes == 0
    check_pairs(one, [0, 1, 2, 3, 4])
    counts, positions = one.read([3, 0])
    np.testing.assert_array_equal(counts, frames(3, 0, dtype=np.float32))
    np.testing.assert_array_equal(positions, points(3, 0))


def test_frames_are_kept_in_memory_up_to_the_limit_and_then_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.live.frame_store.BLOCK_BYTES', 64)
    one = buffer(memory_limit=200)
    for first in range(0, 12, 3):
        numbers = range(first, first + 3)
        one.append(frames(*numbers), points(*numbers), None)
    # Blocks of two frames of 32 bytes, three blocks at most.
    assert one.memory_bytes == 192
    check_pairs(one, list(range(12)))


def test_values_under_the_mask_may_be_anything() -> None:
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[1, 2] = True
    one, stack = buffer(mask=mask), frames(0, dtype=np.float64)
    stack[0, 1, 2] = np.nan
    one.append(stack, points(0), None)
    _, counts, _ = one.in_order()
    assert counts[0][1, 2] == 0
    assert counts[0][0, 0] == 100


def _with(value: float) -> npt.NDArray[np.float64]:
    stack = frames(0, 1, dtype=np.float64)
    stack[1, 2, 3] = value
    return stack


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((np.zeros((2, 4, 5)), None, None), r'shape \(n, 4, 4\).*got \(2, 4, 5\)'),
        ((np.zeros(4), None, None), r'got \(4,\)'),
        ((np.zeros((1, 4, 4), complex), None, None), 'real numbers, got complex128'),
        ((np.zeros((1, 4, 4), bool), None, None), 'real numbers, got bool'),
        ((_with(np.nan), None, None), 'frame 1 holds nan at pixel row 2, column 3'),
        ((_with(np.inf), None, None), 'frame 1 holds inf'),
        ((_with(1e300), None, None), 'frame 1 holds inf'),
        ((_with(-1), None, np.array([4, 8])), 'frame 8 holds -1.0'),
        ((_with(-3).astype(np.int32), None, None), 'frame 1 holds -3'),
        ((None, np.zeros((2, 3)), None), r'shape \(n, 2\).*got float64 \(2, 3\)'),
        ((None, np.array([[0, np.nan]]), None), 'position of index 0 is not finite: '),
        ((frames(0, 1), points(0), None), '2 frames and 1 positions'),
        ((frames(0, 1), None, np.array([0])), r'indices must be 2 integers, got int64 \(1,\)'),
        ((frames(0), None, np.array([0.0])), 'indices must be 1 integers, got float64'),
        ((frames(0), None, np.array([-1])), 'must not be negative, got -1'),
        ((frames(0, 1), None, np.array([3, 3])), 'frame of index 3 was given before'),
    ],
)
def test_bad_input_is_refused_and_nothing_of_it_is_kept(
    arguments: tuple[Any, ...], message: str
) -> None:
    one = buffer()
    with pytest.raises(ScanDataError, match=message):
        one.append(*arguments)
    assert (one.pairs.next_frame, one.pairs.next_position) == (0, 0)


def test_an_index_is_given_once() -> None:
    one = buffer()
    one.append(frames(0, 1), points(0, 1), None)
    with pytest.raises(ScanDataError, match='frame of index 1 was given before'):
        one.append(frames(2, 1), None, np.array([2, 1]))
    with pytest.raises(ScanDataError, match='position of index 0 was given before'):
        one.append(frames(2), points(0), np.array([0]))
    check_pairs(one, [0, 1])


def test_frames_of_another_dtype_are_refused() -> None:
    one = buffer()
    one.append(frames(0), None, None)
    with pytest.raises(ScanDataError, match='frames are float32, those before uint16'):
        one.append(frames(1, dtype=np.float64), None, None)


def test_without_a_pair_there_is_no_scan() -> None:
    one = buffer()
    one.append(frames(0, 1), None, None)
    with pytest.raises(ScanDataError, match='2 frames and 0 positions wait for each other'):
        one.in_order()
