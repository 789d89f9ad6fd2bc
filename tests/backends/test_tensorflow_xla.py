"""Functions of tensors, compiled once a shape."""

from __future__ import annotations

import gc
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


class Pair(NamedTuple):
    one: Any
    other: Any = None


def added(pair: Pair, factor: float, more: Any) -> Pair:
    """Add what there is; keep what is missing missing."""
    one = pair.one * factor if more is None else pair.one * factor + more[0]
    return Pair(one, None if pair.other is None else pair.other + 1)


def test_results_have_the_form_of_the_function() -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.xla import FusedFunction

    compiled = FusedFunction(added)
    x = tf.constant([1.0, 2.0])
    found = compiled(Pair(x), 3.0, None)
    assert isinstance(found, Pair)
    assert found.other is None
    np.testing.assert_array_equal(found.one, [3, 6])
    whole = compiled(Pair(x, tf.constant(1)), 3.0, (x,))
    np.testing.assert_array_equal(whole.one, [4, 8])
    assert int(whole.other) == 2


def test_each_kind_of_arguments_is_traced_once() -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.xla import FusedFunction

    calls = []

    def counted(pair: Pair, factor: float, more: Any) -> Pair:
        calls.append(1)
        return added(pair, factor, more)

    compiled = FusedFunction(counted)
    short, long = tf.constant([1.0]), tf.constant([1.0, 2.0])
    for _ in range(3):
        for x in (short, long):
            compiled(Pair(x), 2.0, None)
            compiled(Pair(x), 5.0, None)
            compiled(Pair(x), 2.0, (x,))
            compiled(Pair(tf.cast(x, tf.complex64)), 2.0, None)
    assert len(calls) == compiled.experimental_get_tracing_count() == 8
    np.testing.assert_array_equal(compiled(Pair(long), 5.0, None).one, [5, 10])
    np.testing.assert_array_equal(compiled(Pair(long), 2.0, None).one, [2, 4])


def test_arguments_are_not_kept() -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.xla import FusedFunction

    compiled = FusedFunction(added)
    x = tf.constant([1.0])
    kept = weakref.ref(x)
    compiled(Pair(x), 2.0, (x,))
    del x
    gc.collect()
    assert kept() is None
