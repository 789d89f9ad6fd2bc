"""Episodes drawn ahead of their use, by `tf.data`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

Item = TypeVar('Item', covariant=True)


class Items(Protocol[Item]):
    """What makes an item when it is indexed."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Item:
        """Make one."""


def prefetch(items: Items[Item], workers: int = 0) -> Generator[Item, None, None]:
    """Yield items in their order, each made while the one before it is in use.

    Args:
        items: makes an item when it is indexed. Crops differ in shape and hold more than tensors,
            so only their numbers pass through the pipeline.
        workers: threads that make items, and items that may wait; 0 is as good as 1.
    """
    together = max(1, workers)
    source = [items]
    made: dict[int, Item] = {}

    def make(index: np.int64) -> np.int64:
        if source:
            made[int(index)] = source[0][int(index)]
        return index

    with tf.device('/CPU:0'):
        numbers = tf.data.Dataset.range(len(items))
        numbers = numbers.map(
            lambda index: tf.numpy_function(make, [index], tf.int64),
            num_parallel_calls=together if together > 1 else None,
        )
        numbers = numbers.prefetch(together)
        iterator = numbers.as_numpy_iterator()
    try:
        for index in iterator:
            yield made.pop(int(index))
    finally:
        # TensorFlow keeps `make` as long as the process lives; scans must not stay with it.
        del iterator
        source.clear()
        made.clear()
