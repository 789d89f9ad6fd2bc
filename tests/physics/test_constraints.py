"""Laws of the constraints of probe and object."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.constraints import (
    AmplitudeLimits,
    ObjectConstraint,
    PhaseLimits,
    ProbeFourierSupport,
    ProbeSupport,
    disc,
)
from ptychopinn_plugin.physics.ops import Ops
from tests.helpers import make_probe
from tests.physics.world import Values


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


@pytest.mark.parametrize('radius', [0.1, 0.3])
def test_a_fourier_support_is_a_disc_at_the_detector(ops: Ops, radius: float) -> None:
    probe = make_probe(16, modes=2)
    support = ProbeFourierSupport(radius)
    once = ops.numpy(support.project(ops, ops.array(probe)))
    at_detector = np.fft.fftshift(np.fft.fft2(once), axes=(1, 2))
    given = np.fft.fftshift(np.fft.fft2(probe), axes=(1, 2))
    inside = disc(16, radius) > 0
    scale = float(np.abs(given).max())
    np.testing.assert_allclose(at_detector[:, inside], given[:, inside], atol=1e-5 * scale)
    assert np.abs(at_detector[:, ~inside]).max() < 1e-5 * scale
    assert np.abs(given[:, ~inside]).max() > 1e-3 * scale
    np.testing.assert_allclose(
        ops.numpy(support.project(ops, ops.array(once))), once, atol=1e-5 * np.abs(probe).max()
    )


def any_object() -> Values:
    """Return complex numbers of every phase, and of amplitudes up to 3."""
    rng = np.random.default_rng(4)
    waves = rng.uniform(0, 3, (20, 21)) * np.exp(1j * rng.uniform(-np.pi, np.pi, (20, 21)))
    return np.asarray(waves.astype(np.complex64))


LIMITS: list[ObjectConstraint] = [
    AmplitudeLimits(0, 1),
    AmplitudeLimits(0.5, 0),
    AmplitudeLimits(0.9, 1.1),
    PhaseLimits(-0.3, 0.2),
    PhaseLimits(0.5, 3.1),
    PhaseLimits(-1.5, 1.6),
    PhaseLimits(2.9, 3.14),
]


@pytest.mark.parametrize('limits', LIMITS, ids=str)
def test_limits_hold_and_leave_what_is_inside(ops: Ops, limits: ObjectConstraint) -> None:
    image = any_object()
    found = ops.numpy(limits.project(ops, ops.array(image)))
    if isinstance(limits, AmplitudeLimits):
        highest = limits.highest or np.inf
        inside = (np.abs(image) >= limits.lowest) & (np.abs(image) <= highest)
        assert np.abs(found).min() > limits.lowest - 1e-5
        assert np.abs(found).max() < highest + 1e-5
        np.testing.assert_allclose(np.angle(found * image.conj()), 0, atol=1e-5)
    else:
        assert isinstance(limits, PhaseLimits)
        phase = np.angle(image)
        inside = (phase >= limits.lowest) & (phase <= limits.highest)
        assert np.angle(found).min() > limits.lowest - 1e-4
        assert np.angle(found).max() < limits.highest + 1e-4
        np.testing.assert_allclose(np.abs(found), np.abs(image), rtol=1e-5)
        # The nearer limit.
        middle, half = (limits.lowest + limits.highest) / 2, (limits.highest - limits.lowest) / 2
        off = np.angle(image * np.exp(-1j * middle))
        wanted = middle + np.clip(off, -half, half)
        np.testing.assert_allclose(np.angle(found * np.exp(-1j * wanted)), 0, atol=1e-4)
    np.testing.assert_allclose(found[inside], image[inside], atol=1e-6)
    assert not inside.all()
    again = ops.numpy(limits.project(ops, ops.array(found)))
    np.testing.assert_allclose(again, found, atol=1e-5)
