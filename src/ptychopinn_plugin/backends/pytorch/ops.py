"""`Ops` in PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import numpy.typing as npt
import torch

from ptychopinn_plugin.backends.pytorch.cpu_ops import (
    TorchCpuOps,
    on_numpy,
    prepare_worker,
    suits,
)
from ptychopinn_plugin.backends.pytorch.devices import pytorch_threads
from ptychopinn_plugin.physics.ops import Array, DType
from ptychopinn_plugin.physics.overlap_add import add_patches
from ptychopinn_plugin.physics.processor_ops import NO_FUNCTIONS
from ptychopinn_plugin.physics.worker_threads import threads_for_batches, worker_threads

_DTYPES = {'float32': torch.float32, 'complex64': torch.complex64}
# Enough to keep a CPU's caches warm and a GPU's cores busy.
_CPU_BATCH, _GPU_BATCH = 2**17, 2**22


class TorchOps:
    """Tensors on one device.

    Args:
        device: where they lie.
        threads: of a network on the CPU; 0 for as many as PyTorch has when it is called.

    Attributes:
        fused_functions: on the CPU, what is called in place of a function that is to be compiled,
            where it runs on NumPy arrays.
    """

    def __init__(self, device: torch.device, threads: int = 0) -> None:
        self.device = device
        self._threads = threads
        self._workers: Sequence[Executor] = ()
        self.batch_pixels = _CPU_BATCH if device.type == 'cpu' else _GPU_BATCH
        self.fused_functions = NO_FUNCTIONS

    @property
    def threads(self) -> int:
        """Threads of PyTorch on a CPU, 0 on another device."""
        if self.device.type != 'cpu':
            return 0
        return self._threads or torch.get_num_threads()

    @contextmanager
    def workers(self, most: int) -> Iterator[Sequence[Executor]]:
        """Give threads that compute as the calling one does, those of `batches_on_cores` again."""
        if self._workers:
            yield self._workers[:most] if most > 1 else ()
            return
        with pytorch_threads(min(1, self.threads)):
            prepare = functools.partial(prepare_worker, torch.is_grad_enabled())
            with worker_threads(min(most, self.threads), prepare) as workers:
                yield workers

    @contextmanager
    def batches_on_cores(self) -> Iterator[None]:
        """Have as many threads for batches as PyTorch has; within, its operations have one each.

        The arrays of a batch are small: on two cores, PyTorch's own threads took a third more of
        the processor's time, and as long. New threads for every sweep would cost a tenth, for their
        memory.
        """
        self._threads = self.threads
        prepare = functools.partial(prepare_worker, torch.is_grad_enabled())
        try:
            with (
                pytorch_threads(min(1, self._threads)),
                threads_for_batches(self._threads, prepare) as self._workers,
            ):
                yield
        finally:
            self._threads, self._workers = 0, ()

    def network_threads(self) -> AbstractContextManager[None]:
        """Let PyTorch's operations have all threads, for a network."""
        return pytorch_threads(self.threads)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of these Ops; on the CPU it runs on NumPy arrays where they suit."""
        if self.device.type != 'cpu':
            return functools.partial(function, self)

        def call(*arguments: Array) -> Array:
            if suits(arguments):
                return on_numpy(self.fused_functions.get(function, function), arguments)
            return function(self, *arguments)

        return call

    def array(self, values: npt.NDArray[Any]) -> torch.Tensor:
        """Bring a NumPy array to the device; on the CPU the memory is shared."""
        # PyTorch warns of shared memory that is read-only.
        if not values.flags.writeable:
            values = values.copy()
        return torch.from_numpy(values).to(self.device, non_blocking=True)

    def free_bytes(self) -> float:
        """Return the free memory of a GPU, what PyTorch holds for later included; else 0."""
        if self.device.type != 'cuda':
            return 0.0
        free, _ = torch.cuda.mem_get_info(self.device)
        held = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return float(free + held)

    def numpy(self, x: torch.Tensor) -> npt.NDArray[Any]:
        """Bring a tensor back to NumPy."""
        values: npt.NDArray[Any] = x.detach().cpu().resolve_conj().numpy()
        return values

    def number(self, x: torch.Tensor) -> float:
        """Return a scalar tensor as a Python number."""
        return float(x.detach())

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> torch.Tensor:
        """Return a tensor of zeros."""
        return torch.zeros(shape, dtype=_DTYPES[dtype], device=self.device)

    def fft2(self, x: torch.Tensor) -> torch.Tensor:
        """Unitary Fourier transform over the last two axes."""
        spectrum: torch.Tensor = torch.fft.fft2(x, norm='ortho')
        return spectrum

    def ifft2(self, x: torch.Tensor) -> torch.Tensor:
        """Inverse, and adjoint, of `fft2`."""
        image: torch.Tensor = torch.fft.ifft2(x, norm='ortho')
        return image

    def fft2_unscaled(self, x: torch.Tensor) -> torch.Tensor:
        """Fourier transform without a norm."""
        spectrum: torch.Tensor = torch.fft.fft2(x)
        return spectrum

    def ifft2_unscaled(self, x: torch.Tensor) -> torch.Tensor:
        """Adjoint of `fft2_unscaled`."""
        image: torch.Tensor = torch.fft.ifft2(x, norm='forward')
        return image

    def abs2(self, x: torch.Tensor) -> torch.Tensor:
        """Squared modulus; several times faster than `abs` on CPUs, and smooth at zero."""
        return x.real.square() + x.imag.square()

    def conj(self, x: torch.Tensor) -> torch.Tensor:
        """Complex conjugate."""
        return x.conj()

    def conj_product(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return conj(x) * y."""
        return x.conj() * y

    def real(self, x: torch.Tensor) -> torch.Tensor:
        """Real part."""
        return x.real

    def imag(self, x: torch.Tensor) -> torch.Tensor:
        """Imaginary part."""
        return x.imag

    def complex(self, real: torch.Tensor, imag: torch.Tensor) -> torch.Tensor:
        """Join real and imaginary part."""
        return torch.complex(real, imag)

    def scale(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """Multiply complex numbers by real ones."""
        return x * factor

    def scale_in_place(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """Multiply complex numbers by real ones, in place where no gradient is wanted."""
        return x * factor if x.requires_grad or factor.requires_grad else x.mul_(factor)

    def sqrt(self, x: torch.Tensor) -> torch.Tensor:
        """Square root."""
        return x.sqrt()

    def log(self, x: torch.Tensor) -> torch.Tensor:
        """Natural logarithm."""
        return x.log()

    def positive(self, x: torch.Tensor) -> torch.Tensor:
        """Return x where it is positive, 0 elsewhere."""
        return x.clamp(min=0)

    def polar(self, angle: torch.Tensor) -> torch.Tensor:
        """Return exp(i angle)."""
        return torch.complex(angle.cos(), angle.sin())

    def sum(self, x: torch.Tensor, axes: tuple[int, ...] | None = None) -> torch.Tensor:
        """Sum over axes, over all without them."""
        return x.sum() if axes is None else x.sum(axes)

    def sum_abs2(self, x: torch.Tensor) -> torch.Tensor:
        """Sum of squared moduli over the first axis, real."""
        return self.abs2(x).sum(0)

    def inner(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Sum over all of x * y."""
        return torch.dot(x.reshape(-1), y.reshape(-1))

    def inner_each(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Sum of x * y over all but the first axis."""
        return (x * y).flatten(1).sum(1)

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """Mean over all."""
        return x.mean()

    def max(self, x: torch.Tensor) -> torch.Tensor:
        """Greatest element."""
        return x.max()

    def combine(self, weights: torch.Tensor, arrays: torch.Tensor) -> torch.Tensor:
        """Return weighted sums of complex arrays."""
        # As real numbers: complex weights would double the multiplications.
        parts = torch.view_as_real(arrays.contiguous())
        summed = weights @ parts.reshape(len(arrays), -1)
        return torch.view_as_complex(summed.reshape(len(weights), *parts.shape[1:]))

    def join(self, first: torch.Tensor, second: torch.Tensor, axis: int = 1) -> torch.Tensor:
        """Join two arrays along an axis, broadcast along the first where one is shared."""
        count = max(len(first), len(second)) if axis else 0
        if axis:
            first, second = (x.expand(count, *x.shape[1:]) for x in (first, second))
        return torch.cat([first, second], axis)

    def transpose(self, x: torch.Tensor) -> torch.Tensor:
        """Swap the two axes of a matrix."""
        return x.T

    def roll(self, x: torch.Tensor, shift: tuple[int, int]) -> torch.Tensor:
        """Shift periodically by whole pixels."""
        return x.roll(shift, (0, 1))

    def cut(self, canvas: torch.Tensor, corners: torch.Tensor, size: int) -> torch.Tensor:
        """Cut patches out of a canvas."""
        # The gradient of the windows below would be as large as all windows that the canvas has.
        if canvas.requires_grad:
            flat = canvas.reshape(-1).index_select(0, self._pixels(canvas.shape[1], corners, size))
            return flat.view(-1, size, size)
        windows = canvas.unfold(0, size, 1).unfold(1, size, 1)
        return windows[corners[:, 0], corners[:, 1]]

    def add(
        self, canvas: torch.Tensor, patches: torch.Tensor, corners: torch.Tensor
    ) -> torch.Tensor:
        """Add patches to a canvas, in place."""
        if canvas.device.type == 'cpu' and not (canvas.requires_grad or patches.requires_grad):
            # Patch after patch, as NumPy does it, takes half the time that an index of all does.
            add_patches(canvas.numpy(), patches.resolve_conj().numpy(), corners.numpy())
            return canvas
        pixels = self._pixels(canvas.shape[1], corners, patches.shape[-1])
        canvas.view(-1).index_add_(0, pixels, patches.reshape(-1))
        return canvas

    def _pixels(self, width: int, corners: torch.Tensor, size: int) -> torch.Tensor:
        """Return the flat canvas index of every patch pixel, int32 (n size size,)."""
        # An index for each pixel of each patch: int32 takes half the memory.
        side = torch.arange(size, dtype=torch.int32, device=self.device)
        offsets = (side[:, None] * width + side).reshape(-1)
        first = (corners[:, 0] * width + corners[:, 1]).to(torch.int32)
        return (first[:, None] + offsets).reshape(-1)


SolverOps: TypeAlias = TorchOps | TorchCpuOps


def solver_ops(device: torch.device) -> SolverOps:
    """Return the array operations that solve on a device."""
    return TorchCpuOps() if device.type == 'cpu' else TorchOps(device)


def tensor_ops(ops: SolverOps) -> TorchOps:
    """Return operations on tensors for a network beside a solver, with as many threads."""
    return ops if isinstance(ops, TorchOps) else TorchOps(ops.device, ops.threads)
