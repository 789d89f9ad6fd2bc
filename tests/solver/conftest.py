"""Runs each law on NumPy and on every framework."""

import pytest
from _pytest.mark import ParameterSet

from ptychopinn_plugin.physics.ops import Ops
from tests.frameworks import FRAMEWORKS, OTHER_FRAMEWORKS, ops_of


def fused_is_slow(frameworks: list[ParameterSet]) -> list[ParameterSet]:
    """Mark what compiles for seconds at every new shape; what it fuses is tested elsewhere too."""
    return [
        pytest.param(*one.values, marks=[*one.marks, pytest.mark.slow], id=one.id)
        if 'fused' in str(one.id)
        else one
        for one in frameworks
    ]


@pytest.fixture(params=fused_is_slow(FRAMEWORKS))
def ops(request: pytest.FixtureRequest) -> Ops:
    """Give the `Ops` of NumPy and of each framework in turn, on the CPU."""
    return ops_of(request.param)


@pytest.fixture(params=fused_is_slow(OTHER_FRAMEWORKS))
def other_ops(request: pytest.FixtureRequest) -> Ops:
    """Give the `Ops` of each framework but NumPy in turn, on the CPU."""
    return ops_of(request.param)
