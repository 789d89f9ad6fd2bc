"""Batches and episodes computed ahead of their use, by `tf.data`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.errors import PtychoPINNError

Item = TypeVar('Item', covariant=True)


class Items(Protocol[Item]):
    """A sequence that computes an item when it is indexed."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Item:
        """Compute one."""


def prefetch(items: Items[Item], workers: int = 0) -> Generator[Item, None, None]:
    """Yield items in their order, each computed while the one before it is in use.

    Args:
        items: computes an item when it is indexed. Items hold more than tensors, so only their
            numbers pass through the pipeline.
        workers: threads that compute items, and items computed ahead; 0 counts as 1.

    Raises:
        PtychoPINNError: that of an item, when its turn comes.
    """
    threads = max(1, workers)
    source = [items]
    computed: dict[int, Item] = {}
    failed: dict[int, PtychoPINNError] = {}

    def compute(index: np.int64) -> np.int64:
        if source:
            # TensorFlow would turn the error into one of its own, the message lost in a trace.
            try:
                computed[int(index)] = source[0][int(index)]
            except PtychoPINNError as error:
                failed[int(index)] = error
        return index

    # Only numbers pass through the pipeline; a GPU would gain nothing.
    with tf.device('/CPU:0'):
        numbers = tf.data.Dataset.range(len(items))
        numbers = numbers.map(
            lambda index: tf.numpy_function(compute, [index], tf.int64),
            num_parallel_calls=threads if threads > 1 else None,
        )
        numbers = numbers.prefetch(threads)
        iterator = numbers.as_numpy_iterator()
    try:
        for index in iterator:
            if int(index) in failed:
                raise failed[int(index)]
            yield computed.pop(int(index))
    finally:
        # TensorFlow keeps `compute` as long as the process lives; it must not keep scans alive.
        del iterator
        source.clear()
        computed.clear()
