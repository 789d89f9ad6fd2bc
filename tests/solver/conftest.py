"""Runs each law on NumPy and on every framework."""

import pytest

from ptychopinn_plugin.physics.ops import Ops
from tests.frameworks import FRAMEWORKS, MAKERS, OTHER_FRAMEWORKS


@pytest.fixture(params=FRAMEWORKS)
def ops(request: pytest.FixtureRequest) -> Ops:
    """Make the `Ops` of NumPy and of each framework in turn, on the CPU."""
    return MAKERS[request.param]()


@pytest.fixture(params=OTHER_FRAMEWORKS)
def other_ops(request: pytest.FixtureRequest) -> Ops:
    """Make the `Ops` of each framework but NumPy in turn, on the CPU."""
    return MAKERS[request.param]()
