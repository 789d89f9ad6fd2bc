"""Devices of PyTorch: which there are, the selected one, threads and determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that PyTorch finds here, that of 'auto' first."""
    found = []
    if torch.cuda.is_available():
        found.append('cuda')
    # Apple's GPUs lack some complex operations, so they are taken only when asked for.
    found.append('cpu')
    if torch.backends.mps.is_available():
        found.append('mps')
    return tuple(found)


def select_device(execution: ExecutionConfig) -> torch.device:
    """Return the device of a config.

    Raises:
        BackendUnavailableError: PyTorch does not find it here.
    """
    found = devices()
    if execution.accelerator == 'auto':
        return torch.device(found[0])
    if execution.accelerator not in found:
        raise BackendUnavailableError(
            f'PyTorch backend selected with accelerator {execution.accelerator!r}, but PyTorch '
            f'finds only {", ".join(found)} here; choose one of these or auto'
        )
    return torch.device(execution.accelerator)


def check_device_count(execution: ExecutionConfig, device: torch.device) -> None:
    """Check that this machine can train on as many devices as the config says.

    Raises:
        BackendUnavailableError: several are asked for and there are no, or fewer, CUDA devices.
    """
    if device.type == 'cuda':
        found = torch.cuda.device_count()
        if execution.devices > found:
            raise BackendUnavailableError(
                f'{execution.devices} devices were asked for and PyTorch finds {found} CUDA '
                'devices here; lower devices'
            )
    elif execution.devices * execution.num_nodes > 1:
        raise BackendUnavailableError(
            f'{execution.devices * execution.num_nodes} devices were asked for, and only CUDA '
            f'devices train together, not {device.type}; take devices = 1 and num_nodes = 1, '
            'and give a CPU more threads'
        )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of PyTorch or NumPy means that memory ran out.

    PyTorch has a class for it on CUDA devices only; elsewhere it raises a RuntimeError.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    signs = ("can't allocate memory", 'out of memory', 'alloc_failed')
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


@contextmanager
def pytorch_threads(count: int) -> Iterator[None]:
    """Let operations of PyTorch have so many threads, 0 for as many as now; restore it afterwards.

    It holds for the calling thread, and for threads that compute for the first time.
    """
    before = torch.get_num_threads()
    if count in (0, before):
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_of_threads(execution: ExecutionConfig, processes: int) -> ExecutionConfig:
    """Return the config of one of some processes of this machine, which share its cores.

    A number of threads that was given, by the config or as OMP_NUM_THREADS, is that of a process.
    """
    if execution.threads or 'OMP_NUM_THREADS' in os.environ:
        return execution
    return execution.model_copy(update={'threads': max(1, torch.get_num_threads() // processes)})


@contextmanager
def computing(execution: ExecutionConfig) -> Iterator[None]:
    """Compute with the config's threads and determinism; restore the former settings afterwards."""
    # Not use_deterministic_algorithms, which imports the compiler, for a second.
    mode = torch.get_deterministic_debug_mode()
    try:
        if execution.deterministic:
            # Some operations have no deterministic form on a GPU; these run, with a warning.
            torch.set_deterministic_debug_mode('warn')
        with pytorch_threads(execution.threads):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
