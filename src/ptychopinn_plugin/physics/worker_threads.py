"""Threads that work on batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from threadpoolctl import threadpool_limits


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


@contextmanager
def threads_for_batches(
    count: int, prepare: Callable[[], object] | None = None
) -> Iterator[list[Executor]]:
    """Give the threads of a whole reconstruction; NumPy's matrix products have one thread each.

    The sums of a product that is divided among threads are rounded differently for each number of
    them. To limit them takes milliseconds, too long for each sweep.

    Args:
        count: how many; none are given for a single one.
        prepare: called in each thread at first; None for nothing.
    """
    with threadpool_limits(1, user_api='blas'), worker_threads(count, prepare) as workers:
        yield workers
