"""Memory of arrays is used again, and never while anything refers to it."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.scan.reused_memory import MOST_BYTES, MOST_FREE, ReusedMemory


def address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__['data'][0])


def test_memory_is_used_again_once_no_array_has_it() -> None:
    memory = ReusedMemory()
    first = memory.empty((4, 5), np.float32)
    place = address(first)
    first[...] = 3
    second = memory.empty((4, 5), np.float32)
    assert address(second) != place
    del first
    smaller = memory.empty((3, 2, 2), np.uint16)
    assert address(smaller) == place
    assert smaller.shape == (3, 2, 2)
    assert smaller.dtype == np.dtype(np.uint16)
    assert smaller.flags.writeable
    assert smaller.flags.c_contiguous


@pytest.mark.parametrize('kind', ['slice', 'ravel', 'reshape', 'real', 'torch'])
def test_a_view_keeps_its_memory(kind: str) -> None:
    memory = ReusedMemory()
    array = memory.empty((4, 6), np.complex64)
    array[...] = 7
    if kind == 'torch':
        view = pytest.importorskip('torch').from_numpy(array)[1:]
    else:
        view = {
            'slice': array[1:, 2:],
            'ravel': array.ravel(),
            'reshape': array.reshape(2, 12),
            'real': array.real,
        }[kind]
    del array
    gc.collect()
    for _ in range(3):
        other = memory.empty((4, 6), np.complex64)
        other[...] = 0
        assert np.all(np.asarray(view) == 7)


def test_little_is_kept_and_nothing_large() -> None:
    memory = ReusedMemory()
    arrays = [memory.empty((8,), np.float64) for _ in range(MOST_FREE + 3)]
    places = {address(one) for one in arrays}
    del arrays
    assert len(memory._free) == MOST_FREE
    again = [memory.empty((8,), np.float64) for _ in range(MOST_FREE)]
    assert {address(one) for one in again} <= places
    large = memory.empty((MOST_BYTES // 8 + 1,), np.float64)
    del large
    assert not memory._free
    assert memory.empty((0, 3), np.float32).shape == (0, 3)


def test_another_size_takes_memory_that_is_large_enough() -> None:
    memory = ReusedMemory()
    small = memory.empty((2,), np.float32)
    del small
    large = memory.empty((200,), np.float32)
    large[...] = 1
    assert large.shape == (200,)
