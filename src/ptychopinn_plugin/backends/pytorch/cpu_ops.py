"""Functions of `Ops` on NumPy arrays, with the Fourier transforms and matrix products of PyTorch.

On one core NumPy takes a third to a half of the time that PyTorch takes for the same loop (AVX-512,
measured), and a quarter of the time to start it, which is as long as a loop over a small batch
takes. It does not share a loop among cores: batches are divided among them instead.

The solver works on NumPy arrays throughout (`solver_ops`). Where networks and their training, which
need tensors, call functions of the solver on a processor, arrays share the memory of the tensors
(`on_numpy`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ptychopinn_plugin.backends.pytorch.devices import pytorch_threads
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.worker_threads import threads_for_batches

# From this side on PyTorch adds patches in two thirds of the time that NumPy takes.
LARGE_PATCH = 128


class TorchCpuOps(ProcessorOps):
    """NumPy arrays that share their memory with tensors on the CPU.

    Attributes:
        device: the processor, where networks compute.
    """

    device = torch.device('cpu')

    @contextmanager
    def batches_on_cores(self, threads: int | None = None) -> Iterator[None]:
        """Have some threads for batches; PyTorch's operations have one each within.

        Args:
            threads: how many; None for as many as PyTorch has.
        """
        count, before = threads or torch.get_num_threads(), self.threads
        prepare = functools.partial(prepare_worker, torch.is_grad_enabled())
        try:
            with pytorch_threads(1), threads_for_batches(count, prepare) as self._workers:
                self.threads = count
                yield
        finally:
            self.threads, self._workers = before, ()

    def fft2_unscaled(self, x: Array) -> Array:
        """Fourier transform without a norm."""
        return torch.fft.fft2(_tensor(x)).numpy()

    def ifft2_unscaled(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`."""
        return torch.fft.ifft2(_tensor(x), norm='forward').numpy()

    def fft2_of_scratch(self, x: Array) -> Array:
        """Fourier transform without a norm; PyTorch has none that overwrites its argument."""
        return self.fft2_unscaled(x)

    def ifft2_of_scratch(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`; PyTorch has none that overwrites its argument."""
        return self.ifft2_unscaled(x)

    def sum(self, x: Array, axes: tuple[int, ...] | None = None) -> Array:
        """Sum over axes, over all without them."""
        if axes == (0,):
            return np.sum(x, axis=0)
        tensor = _tensor(x)
        return (tensor.sum() if axes is None else tensor.sum(axes)).numpy()

    def add(self, canvas: Array, patches: Array, corners: Array) -> Array:
        """Add patches to a canvas, in place."""
        if patches.shape[-1] < LARGE_PATCH:
            return super().add(canvas, patches, corners)
        whole = torch.from_numpy(canvas)
        size, width = patches.shape[-1], canvas.shape[1]
        for patch, (row, column) in zip(_tensor(patches).unbind(), corners.tolist(), strict=True):
            first = row * width + column
            torch.as_strided(whole, (size, size), (width, 1), first).add_(patch)
        return canvas

    def _product(self, first: Array, second: Array) -> Array:
        """Return the product of two float32 matrices, with the threads of PyTorch."""
        return torch.mm(_tensor(first), _tensor(second)).numpy()


def prepare_worker(with_gradients: bool) -> None:
    """Let a new thread compute with one core, and with gradients or without."""
    # Not left to PyTorch: MKL would take all cores until PyTorch's own first use of threads.
    torch.set_num_threads(1)
    torch.set_grad_enabled(with_gradients)


def suits(arguments: tuple[Array, ...]) -> bool:
    """Return whether a function of these arguments can be computed here: without a gradient."""
    return not (torch.is_grad_enabled() and _any_gradient(arguments))


def on_numpy(function: Callable[..., Array], arguments: tuple[Array, ...]) -> Array:
    """Return a function of `ProcessorOps` and tensors, which may be in tuples, as tensors."""
    return _tensors(function(_OPS, *_arrays(arguments)))


def on_arrays(
    stage: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Stage:
    """Return a stage of tensors as one of NumPy arrays."""

    def call(canvas_object: Array, direction: Array, dose: Array) -> Array:
        tensors = [_tensor(array) for array in (canvas_object, direction, dose)]
        updated = stage(*tensors)
        # A stage that changes nothing returns what it was given.
        return canvas_object if updated is tensors[0] else updated.numpy()

    return call


_OPS = TorchCpuOps()


def _tensor(x: Array) -> torch.Tensor:
    """Return a tensor that shares the memory of an array."""
    # PyTorch warns of shared memory that is read-only.
    return torch.from_numpy(x if x.flags.writeable else x.copy())


def _any_gradient(x: object) -> bool:
    if isinstance(x, torch.Tensor):
        return x.requires_grad
    return isinstance(x, tuple) and any(_any_gradient(one) for one in x)


def _arrays(x: Array) -> Array:
    """Return the NumPy arrays of tensors, and what is none as it is."""
    if x is None:
        return None
    if isinstance(x, torch.Tensor):
        return x.detach().resolve_conj().numpy() if x.requires_grad or x.is_conj() else x.numpy()
    return _like(x, [_arrays(one) for one in x]) if isinstance(x, tuple) else x


def _tensors(x: Array) -> Array:
    """Return the tensors of NumPy arrays and scalars, and what is none as it is."""
    if x is None:
        return None
    if isinstance(x, np.ndarray):
        return torch.from_numpy(x)
    if isinstance(x, np.generic):
        return torch.from_numpy(np.asarray(x))
    return _like(x, [_tensors(one) for one in x]) if isinstance(x, tuple) else x


def _like(values: tuple[Array, ...], found: list[Array]) -> tuple[Array, ...]:
    """Return a tuple of other values, a named one where the first is."""
    kind = type(values)
    return tuple(found) if kind is tuple else kind(*found)
