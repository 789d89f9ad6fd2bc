"""The processes of one reconstruction, on torch.distributed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from ptychopinn_plugin.backends.ranks import ProcessRank
from ptychopinn_plugin.errors import BackendUnavailableError, ProcessLostError
from ptychopinn_plugin.physics.ops import Array

T = TypeVar('T')
# How long the others are waited for at the start, and in one exchange: process 0 may compute what
# needs the whole canvas meanwhile.
START, EXCHANGE = timedelta(minutes=5), timedelta(minutes=30)
FAILURE = 'ptychopinn/failure'


class Store(Protocol):
    """What of PyTorch's store of keys and values is used here."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number, 0 at first, and return the sum."""

    def set(self, key: str, value: str, /) -> None:
        """Set a value."""

    def check(self, keys: list[str], /) -> bool:
        """Return whether all of some keys are set."""

    def get(self, key: str, /) -> bytes:
        """Return a value, once it is set."""


class TorchCommunicator:
    """The group of processes; gloo for arrays on the CPU, nccl for those on GPUs.

    Args:
        store: that all processes reach.
        rank: number of this process.
        size: number of processes.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._store = store

    def on_first(self, function: Callable[[], T]) -> T:
        """Call a function in process 0 only and return its value in all of them."""
        found: list[T | None] = [function() if self.rank == 0 else None]
        with self._exchanging():
            distributed.broadcast_object_list(found, src=0)
        value: T = found[0]  # type: ignore[assignment]
        return value

    def all_numbers(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the numbers of all processes, float64 (size, ...), in the order of their ranks."""
        # Not `ascontiguousarray`, which makes a number an array of one.
        own = torch.from_numpy(np.array(values, order='C'))
        found = [torch.empty_like(own) for _ in range(self.size)]
        with self._exchanging():
            distributed.all_gather(found, own)
        return np.stack([one.numpy() for one in found])

    def sum_values(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum of many numbers over all processes, float64 of any shape."""
        total = torch.from_numpy(np.array(values, order='C'))
        with self._exchanging():
            distributed.all_reduce(total)
        found: npt.NDArray[np.float64] = total.numpy()
        return found

    def all_sum(self, values: Array) -> Array:
        """Return the sum over all processes of an array on the device."""
        total = _tensor(values).clone().contiguous()
        with self._exchanging():
            distributed.all_reduce(_real(total))
        return total.numpy() if isinstance(values, np.ndarray) else total

    def exchange(self, sent: Mapping[int, Array], wanted: Mapping[int, Array]) -> None:
        """Send arrays to other processes and fill those that are wanted with theirs."""
        works = [
            distributed.P2POp(distributed.irecv, _real(_tensor(into)), other)
            for other, into in sorted(wanted.items())
        ]
        works += [
            distributed.P2POp(distributed.isend, _real(_tensor(one).contiguous()), other)
            for other, one in sorted(sent.items())
        ]
        if works:
            with self._exchanging():
                for work in distributed.batch_isend_irecv(works):
                    work.wait()

    def tell_failure(self, sentence: str) -> None:
        """Leave a sentence on why this process ends for the others."""
        with contextlib.suppress(RuntimeError):
            if self._store.add(f'{FAILURE}/count', 1) == 1:
                self._store.set(FAILURE, f'process {self.rank} failed: {sentence}')

    def leave(self) -> None:
        """Leave the group."""
        distributed.destroy_process_group()

    @contextlib.contextmanager
    def _exchanging(self) -> Iterator[None]:
        """Turn an error of an exchange into a sentence.

        Raises:
            ProcessLostError: another process has ended, or did not answer.
        """
        try:
            yield
        except RuntimeError as error:
            raise ProcessLostError(self._failure()) from error

    def _failure(self) -> str:
        """Return what another process left before it ended."""
        # The store may be gone with the process that held it.
        with contextlib.suppress(RuntimeError):
            if self._store.check([FAILURE]):
                return self._store.get(FAILURE).decode()
        return 'another process of this reconstruction ended before it was done'


def join_group(place: ProcessRank, device: torch.device) -> TorchCommunicator:
    """Meet the other processes of a job.

    Args:
        place: of this process.
        device: where it computes; of CUDA devices each process of a machine takes another one.

    Raises:
        BackendUnavailableError: the machine has fewer GPUs than processes.
        ProcessLostError: the other processes did not come.
    """
    backend = 'gloo'
    if device.type == 'cuda':
        backend = 'cpu:gloo,cuda:nccl'
        found = torch.cuda.device_count()
        if place.local_rank >= found:
            raise BackendUnavailableError(
                f'process {place.local_rank} of this machine has no GPU, PyTorch finds {found}; '
                'start as many processes on a machine as it has GPUs, or take accelerator = cpu'
            )
        torch.cuda.set_device(place.local_rank)
    try:
        store, rank, size = next(rendezvous('env://', timeout=START))
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=EXCHANGE
        )
    except (RuntimeError, ValueError) as error:
        raise ProcessLostError(
            f'the {place.size} processes of this reconstruction did not all meet '
            f'({_first_line(error)}); look at MASTER_ADDR and MASTER_PORT, and that all were '
            'started'
        ) from error
    return TorchCommunicator(store, rank, size)


def _tensor(x: Array) -> torch.Tensor:
    """Return an array as a tensor, which shares the memory of one of NumPy."""
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def _real(x: torch.Tensor) -> torch.Tensor:
    """Return a view of real numbers: not all exchanges take complex ones."""
    return torch.view_as_real(x) if x.is_complex() else x


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
