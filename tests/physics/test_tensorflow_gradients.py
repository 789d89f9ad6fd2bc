"""TensorFlow's own derivatives run through the physics, in compiled functions too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.physics.test_projection import directions, measured_amplitudes
from tests.physics.world import make_world, relative

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize('compiled', [False, True])
def test_derivative_of_the_deviance_is_the_gradient_image(
    monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.physics.noise_models.DARK_SHARE', 0)
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
    from ptychopinn_plugin.physics.forward import expected_counts, propagate, shifted_probes
    from ptychopinn_plugin.physics.noise_models import amplitude_deviance
    from tests.physics.world import make_ramps

    ops, world = TensorFlowOps('/CPU:0', fused=False), make_world(modes=2)
    amplitudes = measured_amplitudes(world).astype(np.float32)

    def gradients(canvas: tf.Tensor, probe: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch((canvas, probe))
            probes = shifted_probes(ops, probe, make_ramps(ops, world))
            patches = ops.cut(canvas, ops.array(world.corners), world.size)
            counts = expected_counts(ops, propagate(ops, probes, patches))
            deviance = amplitude_deviance(ops, counts, ops.array(amplitudes), None)
        found: tuple[tf.Tensor, tf.Tensor] = tape.gradient(deviance, (canvas, probe))
        return found

    function = tf.function(gradients) if compiled else gradients
    found = function(ops.array(world.canvas_object), ops.array(world.probe))
    images = directions(ops, world, amplitudes, None)
    # TensorFlow's gradient of a complex number is twice the Wirtinger derivative by its conjugate.
    assert relative(found[0].numpy(), -2 * ops.numpy(images.canvas_object)) < 1e-4
    assert relative(found[1].numpy(), -2 * ops.numpy(images.probe)) < 1e-4


@pytest.mark.parametrize('compiled', [False, True])
def test_gradient_of_add_is_cut_and_that_of_cut_is_add(compiled: bool) -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps

    ops, world = TensorFlowOps('/CPU:0', fused=False), make_world()
    corners, shape = ops.array(world.corners), world.canvas_object.shape
    rng = np.random.default_rng(0)
    patches = ops.array(
        rng.normal(size=(len(world.corners), world.size, world.size)).astype(np.float32)
    )
    canvas = ops.array(rng.normal(size=shape).astype(np.float32))

    def products(canvas: tf.Tensor, patches: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((canvas, patches))
            added = ops.add(ops.zeros(shape, 'float32'), patches, corners)
            one = tf.reduce_sum(added * tf.stop_gradient(canvas))
            cut = ops.cut(canvas, corners, world.size)
            other = tf.reduce_sum(cut * tf.stop_gradient(patches))
        return tape.gradient(one, patches), cut, tape.gradient(other, canvas), added

    function = tf.function(products) if compiled else products
    by_patches, cut, by_canvas, added = (one.numpy() for one in function(canvas, patches))
    assert relative(by_patches, cut) < 1e-5
    assert relative(by_canvas, added) < 1e-5
