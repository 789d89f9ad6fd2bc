"""The `Ops` of every framework, one entry each; a new framework joins every law by its entry."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops


def torch_ops() -> Ops:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    return TorchOps(torch.device('cpu'))


def torch_cpu_ops() -> Ops:
    from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps

    return TorchCpuOps()


def tensorflow_ops(*, fused: bool) -> Ops:
    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps

    return TensorFlowOps('/CPU:0', fused=fused)


# A mark skips or fails the test where its backend is missing; see tests/conftest.py.
MAKERS: dict[str, Callable[[], Ops]] = {
    'numpy': NumpyOps,
    'pytorch': torch_ops,
    'tensorflow': functools.partial(tensorflow_ops, fused=False),
    'tensorflow fused': functools.partial(tensorflow_ops, fused=True),
}


@functools.cache
def ops_of(framework: str) -> Ops:
    """Return the `Ops` of a framework: one for all tests, for they keep what they have compiled."""
    return MAKERS[framework]()


FRAMEWORKS = [
    pytest.param(
        name, marks=() if name == 'numpy' else getattr(pytest.mark, name.split()[0]), id=name
    )
    for name in MAKERS
]
# What the solver takes instead of tensors on a processor; its laws are those of `Ops`.
MAKERS['pytorch arrays'] = torch_cpu_ops
ARRAYS = pytest.param('pytorch arrays', marks=pytest.mark.pytorch, id='pytorch arrays')
OTHER_FRAMEWORKS = [param for param in FRAMEWORKS if param.id != 'numpy']
