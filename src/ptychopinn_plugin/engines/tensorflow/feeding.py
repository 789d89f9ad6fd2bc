"""Episodes drawn ahead of their use, by `tf.data`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

Item = TypeVar('Item')


def prefetched(items: Sequence[Item]) -> Generator[Item, None, None]:
    """Yield items in their order, each made while the one before it is in use.

    Args:
        items: makes an item when it is indexed. Crops differ in shape and hold more than tensors,
            so only their numbers pass through the pipeline.
    """
    source = [items]
    made: dict[int, Item] = {}

    def make(index: np.int64) -> np.int64:
        if source:
            made[int(index)] = source[0][int(index)]
        return index

    with tf.device('/CPU:0'):
        numbers = tf.data.Dataset.range(len(items))
        numbers = numbers.map(lambda index: tf.numpy_function(make, [index], tf.int64)).prefetch(1)
        iterator = numbers.as_numpy_iterator()
    try:
        for index in iterator:
            yield made.pop(int(index))
    finally:
        # TensorFlow keeps `make` as long as the process lives; scans must not stay with it.
        del iterator
        source.clear()
        made.clear()
