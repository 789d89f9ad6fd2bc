"""The `Ops` of every framework, one entry each; a new framework joins every law by its entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops


def torch_ops() -> Ops:
    import torch

    from ptychopinn_plugin.engines.pytorch.ops import TorchOps

    return TorchOps(torch.device('cpu'))


# A mark skips or fails the test where its backend is missing; see tests/conftest.py.
MAKERS: dict[str, Callable[[], Ops]] = {'numpy': NumpyOps, 'pytorch': torch_ops}
FRAMEWORKS = [
    pytest.param(name, marks=() if name == 'numpy' else getattr(pytest.mark, name), id=name)
    for name in MAKERS
]
OTHER_FRAMEWORKS = [param for param in FRAMEWORKS if param.id != 'numpy']
