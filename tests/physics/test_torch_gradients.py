"""PyTorch's own derivatives run through the physics."""

from __future__ import annotations

import numpy as np
import pytest

from tests.physics.test_projection import directions, measured_amplitudes
from tests.physics.world import make_world, relative

pytestmark = pytest.mark.pytorch


def test_cut_with_gradient_cuts_the_same_patches() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    ops, world = TorchOps(torch.device('cpu')), make_world()
    canvas, corners = ops.array(world.canvas_object), ops.array(world.corners)
    plain = ops.cut(canvas, corners, world.size)
    traced = ops.cut(canvas.clone().requires_grad_(), corners, world.size)
    assert traced.requires_grad
    assert torch.equal(plain, traced.detach())


def test_derivative_of_the_deviance_is_the_gradient_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('ptychopinn_plugin.physics.noise_models.DARK_SHARE', 0)
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.physics.forward import expected_counts, propagate, shifted_probes
    from ptychopinn_plugin.physics.noise_models import amplitude_deviance
    from tests.physics.world import make_ramps

    ops, world = TorchOps(torch.device('cpu')), make_world(modes=2)
    amplitudes = measured_amplitudes(world).astype(np.float32)
    canvas = ops.array(world.canvas_object.copy()).requires_grad_()
    probe = ops.array(world.probe.copy()).requires_grad_()
    probes = shifted_probes(ops, probe, make_ramps(ops, world))
    waves = propagate(ops, probes, ops.cut(canvas, ops.array(world.corners), world.size))
    deviance = amplitude_deviance(ops, expected_counts(ops, waves), ops.array(amplitudes), None)
    torch.autograd.backward(deviance)
    with torch.no_grad():
        images = directions(ops, world, amplitudes, None)
    # PyTorch's gradient of a complex number is twice the Wirtinger derivative by its conjugate.
    assert canvas.grad is not None
    assert relative(canvas.grad.numpy(), -2 * ops.numpy(images.canvas_object)) < 1e-4
    assert probe.grad is not None
    assert relative(probe.grad.numpy(), -2 * ops.numpy(images.probe)) < 1e-4


def test_gradient_of_cut_is_add() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    ops, world = TorchOps(torch.device('cpu')), make_world()
    canvas = ops.array(world.canvas_object.copy()).requires_grad_()
    corners = ops.array(world.corners)
    patches = ops.cut(canvas, corners, world.size)
    weights = torch.randn(patches.shape, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward((patches.real * weights).sum())
    added = ops.add(ops.zeros(tuple(canvas.shape), 'float32'), weights, corners)
    assert canvas.grad is not None
    assert relative(canvas.grad.real.numpy(), added.numpy()) < 1e-5
