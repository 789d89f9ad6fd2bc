"""Runs each law on NumPy and on every framework."""

import pytest

from ptychopinn_plugin.physics.ops import Ops
from tests.frameworks import ARRAYS, FRAMEWORKS, OTHER_FRAMEWORKS, ops_of


@pytest.fixture(params=[*FRAMEWORKS, ARRAYS])
def ops(request: pytest.FixtureRequest) -> Ops:
    """Give the `Ops` of NumPy and of each framework in turn, on the CPU."""
    return ops_of(request.param)


@pytest.fixture(params=[*OTHER_FRAMEWORKS, ARRAYS])
def other_ops(request: pytest.FixtureRequest) -> Ops:
    """Give the `Ops` of each framework but NumPy in turn, on the CPU."""
    return ops_of(request.param)
