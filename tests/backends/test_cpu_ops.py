"""What PyTorch's functions on NumPy arrays do beyond the laws that all frameworks keep."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.pytorch


def test_large_patches_are_added_where_small_ones_are() -> None:
    from ptychopinn_plugin.backends.pytorch.cpu_ops import LARGE_PATCH, TorchCpuOps
    from ptychopinn_plugin.physics.numpy_ops import NumpyOps

    rng = np.random.default_rng(0)
    shape = (3, LARGE_PATCH, LARGE_PATCH)
    patches = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    corners = np.array([[0, 0], [5, 17], [5, 17]])
    for values in (patches, patches.real.copy()):
        found, wanted = (
            ops.add(np.ones((LARGE_PATCH + 6, LARGE_PATCH + 17), values.dtype), values, corners)
            for ops in (TorchCpuOps(), NumpyOps())
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_gradients_flow_where_they_are_wanted() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.physics.ops import Array, Ops

    def power(ops: Ops, parts: tuple[Array, None]) -> Array:
        return ops.sum(ops.abs2(ops.fft2(ops.scale_in_place(parts[0] * 1, ops.abs2(parts[0])))))

    ops = TorchOps(torch.device('cpu'))
    values = torch.full((1, 4, 4), 0.5 + 0.25j, dtype=torch.complex64, requires_grad=True)
    total = ops.compiled(power)((values, None))
    total.backward()
    assert values.grad is not None
    # |x|^6, whose derivative by the conjugate is 3 |x|^4 x, twice that as PyTorch has it.
    wanted = 6 * (0.5**2 + 0.25**2) ** 2 * (0.5 + 0.25j)
    np.testing.assert_allclose(values.grad.numpy(), np.full((1, 4, 4), wanted), rtol=1e-5)
    with torch.no_grad():
        assert not ops.compiled(power)((values, None)).requires_grad


def test_batches_and_networks_have_as_many_threads_as_pytorch() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.devices import pytorch_threads
    from ptychopinn_plugin.backends.pytorch.ops import TorchOps, solver_ops, tensor_ops

    ops = solver_ops(torch.device('cpu'))
    assert not isinstance(ops, TorchOps)
    with pytorch_threads(3):
        with ops.batches_on_cores(), ops.workers(8) as workers:
            assert len(workers) == ops.threads == tensor_ops(ops).threads == 3
            # Else each of the three would divide its own transforms among three more.
            assert torch.get_num_threads() == 1
            assert [one.submit(torch.get_num_threads).result() for one in workers] == [1, 1, 1]
        assert torch.get_num_threads() == 3
    assert ops.threads == 1


def test_arrays_that_are_read_only_are_transformed_and_stay_as_they_are() -> None:
    from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps

    values = np.arange(16, dtype=np.complex64).reshape(4, 4)
    values.flags.writeable = False
    np.testing.assert_allclose(TorchCpuOps().fft2_of_scratch(values), np.fft.fft2(values))
    np.testing.assert_array_equal(values.ravel(), np.arange(16))


def test_a_stage_of_tensors_takes_and_returns_arrays() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.cpu_ops import on_arrays

    arrays = [np.full((3, 2), 2, kind) for kind in (np.complex64, np.complex64, np.float32)]

    def add(one: torch.Tensor, other: torch.Tensor, dose: torch.Tensor) -> torch.Tensor:
        return one + other * dose

    found = on_arrays(add)(*arrays)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, np.full((3, 2), 6))
    assert on_arrays(lambda one, _, __: one)(*arrays) is arrays[0]
