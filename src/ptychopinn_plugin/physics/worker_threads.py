"""Threads that work on batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager


@contextmanager
def worker_threads(
    count: int, prepare: Callable[[], object] | None = None
) -> Iterator[list[Executor]]:
    """Give executors of one thread each, which starts when it is needed; all end afterwards.

    Args:
        count: how many; none are given for a single one.
        prepare: called in each thread at first; None for nothing.
    """
    with ExitStack() as stack:
        workers: list[Executor] = []
        for number in range(count if count > 1 else 0):
            worker = ThreadPoolExecutor(1, f'batches {number}', initializer=prepare)
            stack.callback(worker.shutdown, cancel_futures=True)
            workers.append(worker)
        yield workers
