"""Laws of the probe's constraints."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.constraints import ProbeSupport, disc
from ptychopinn_plugin.physics.ops import Ops
from tests.helpers import make_probe


@pytest.mark.parametrize('radius', [0.1, 0.25, 0.4])
def test_a_projection_changes_nothing_the_second_time(ops: Ops, radius: float) -> None:
    probe = ops.array(make_probe(16, modes=2))
    support = ProbeSupport(radius)
    once = support.project(ops, probe)
    np.testing.assert_array_equal(ops.numpy(support.project(ops, once)), ops.numpy(once))


def test_outside_the_support_a_probe_is_zero_and_inside_as_it_was(ops: Ops) -> None:
    probe = make_probe(16, modes=2)
    found = ops.numpy(ProbeSupport(0.25).project(ops, ops.array(probe)))
    inside = disc(16, 0.25) > 0
    np.testing.assert_array_equal(found[:, inside], probe[:, inside])
    assert not found[:, ~inside].any()
    assert probe[:, ~inside].any()
