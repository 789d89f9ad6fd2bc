"""Processes of one reconstruction as threads of the test, so that a test takes no seconds."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ptychopinn_plugin.solver.parts.communicator import Communicator
from tests.solver.scans import Values

T = TypeVar('T')


@dataclass(eq=False)
class Board:
    """What the threads of a group leave for each other."""

    size: int
    left: dict[tuple[int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size, timeout=60)

    def swap(self, rank: int, given: Mapping[int, Any]) -> dict[int, Any]:
        """Leave something for other threads and return what they left for this one."""
        self.left |= {(rank, other): one for other, one in given.items()}
        self.barrier.wait()
        found = {a: one for (a, b), one in self.left.items() if b == rank}
        self.barrier.wait()
        for other in given:
            del self.left[rank, other]
        self.barrier.wait()
        return found


@dataclass(frozen=True, eq=False)
class ThreadCommunicator:
    """One of the threads."""

    board: Board
    rank: int

    @property
    def size(self) -> int:
        return self.board.size

    def on_first(self, function: Callable[[], T]) -> T:
        sent = pickle.dumps(function()) if self.rank == 0 else b''
        given = dict.fromkeys(range(self.size), sent) if self.rank == 0 else {}
        found: T = pickle.loads(self.board.swap(self.rank, given)[0])
        return found

    def all_numbers(self, values: Values) -> Values:
        found = self.board.swap(self.rank, dict.fromkeys(range(self.size), values.copy()))
        return np.stack([found[rank] for rank in range(self.size)])

    def sum_values(self, values: Values) -> Values:
        return np.asarray(self.all_numbers(values).sum(axis=0))

    def all_sum(self, values: Values) -> Values:
        found = self.board.swap(self.rank, dict.fromkeys(range(self.size), values))
        return np.asarray(sum((found[rank] for rank in range(1, self.size)), found[0]))

    def exchange(self, sent: Mapping[int, Values], wanted: Mapping[int, Values]) -> None:
        found = self.board.swap(self.rank, {other: one.copy() for other, one in sent.items()})
        assert set(found) == set(wanted)
        for other, into in wanted.items():
            assert into.dtype == found[other].dtype
            into[...] = found[other]


def in_threads(count: int, work: Callable[[Communicator], T]) -> list[T]:
    """Call a function once in each of some threads, and return what each returns."""
    board = Board(count)

    def one(rank: int) -> T:
        try:
            return work(ThreadCommunicator(board, rank))
        except BaseException:
            board.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(one, rank) for rank in range(count)]
        errors = [future.exception() for future in futures]
    causes = [e for e in errors if e and not isinstance(e, threading.BrokenBarrierError)]
    if causes:
        raise causes[0]
    return [future.result() for future in futures]
