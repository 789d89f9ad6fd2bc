"""Messages between the processes that share one reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array

T = TypeVar('T')


class Communicator(Protocol):
    """A group of processes that all call the same methods in the same order.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def on_first(self, function: Callable[[], T]) -> T:
        """Call a function in process 0 only and return its value in all of them."""

    def all_numbers(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the numbers of all processes, float64 (size, ...), in the order of their ranks.

        Args:
            values: float64 of any shape, the same in all processes.
        """

    def sum_values(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum of many numbers over all processes, float64 of any shape."""

    def all_sum(self, values: Array) -> Array:
        """Return the sum over all processes of an array on the device."""

    def exchange(self, sent: Mapping[int, Array], wanted: Mapping[int, Array]) -> None:
        """Send arrays to other processes and receive theirs.

        Args:
            sent: arrays by the rank of the process that they go to.
            wanted: arrays that are filled, by the rank of the process that sends them.
        """


class OneProcess:
    """A process that works alone."""

    rank = 0
    size = 1

    def on_first(self, function: Callable[[], T]) -> T:
        """Call the function."""
        return function()

    def all_numbers(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the numbers of this process, float64 (1, ...)."""
        return values[None]

    def sum_values(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the numbers themselves."""
        return values

    def all_sum(self, values: Array) -> Array:
        """Return the array itself."""
        return values

    def exchange(self, sent: Mapping[int, Array], wanted: Mapping[int, Array]) -> None:
        """Do nothing: there is no other process."""
