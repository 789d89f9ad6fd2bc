"""Episodes are drawn ahead of their use, and are the same for that."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from typing import overload

import pytest

from ptychopinn_plugin.errors import ScanDataError

pytestmark = pytest.mark.tensorflow


class Squares(Sequence[int]):
    """Makes squares, and says which have been begun."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun = [threading.Event() for _ in range(size)]
        self.order: list[int] = []

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        assert isinstance(index, int)
        self.begun[index].set()
        self.order.append(index)
        return index**2


def test_order_and_items_stay() -> None:
    from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch

    squares = Squares(20)
    assert list(prefetch(squares)) == [index**2 for index in range(20)]
    assert squares.order == list(range(20))


def test_the_next_is_made_while_one_is_in_use_and_no_more() -> None:
    from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch

    squares = Squares(20)
    items = prefetch(squares)
    assert next(items) == 0
    assert squares.begun[1].wait(10)
    # One waits, another one may be under way.
    assert not squares.begun[3].wait(0.2)
    items.close()
    assert not squares.begun[3].wait(0.2)


@pytest.mark.parametrize('used', [1, 3])
def test_nothing_is_kept_afterwards(used: int) -> None:
    from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch

    squares = Squares(3)
    kept = weakref.ref(squares)
    items = prefetch(squares)
    for _ in range(used):
        next(items)
    del squares, items
    gc.collect()
    assert kept() is None


def test_an_item_that_cannot_be_made_ends_the_work() -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch

    class Broken(Squares):
        def __getitem__(self, index: int | slice) -> int:  # type: ignore[override]
            raise ValueError('no such crop')

    with pytest.raises(tf.errors.InvalidArgumentError, match='no such crop'):
        list(prefetch(Broken(2)))


def test_an_error_of_an_item_comes_as_it_is() -> None:
    from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch

    class Faulty(Squares):
        def __getitem__(self, index: int | slice) -> int | Sequence[int]:  # type: ignore[override]
            if index == 2:
                raise ScanDataError(['too few photons'], 'a.npz')
            return super().__getitem__(index)

    items = prefetch(Faulty(5))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ScanDataError, match=r'^a\.npz: too few photons$'):
        next(items)
