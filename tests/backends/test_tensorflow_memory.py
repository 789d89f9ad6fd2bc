"""Graphs of TensorFlow are freed with the network that they were traced for."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig

pytestmark = pytest.mark.tensorflow


def trained_step() -> weakref.ref[Any]:
    """Take a step of a training and return its graph."""
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.optimizer import build_optimizer
    from ptychopinn_plugin.backends.tensorflow.unrolled_network import StageNetwork
    from ptychopinn_plugin.networks.unrolled.features import INPUT_CHANNELS

    network = StageNetwork(ModelConfig(width=4, levels=1, blocks=1), 0)
    variables = network.variables()
    optimizer = build_optimizer(ExecutionConfig(), variables)

    def step(images: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(network(images)))
        gradients = tape.gradient(loss, [one.value for one in variables])
        optimizer.apply(gradients, list(variables))

    compiled, images = tf.function(step, autograph=False), tf.ones((1, 16, 16, INPUT_CHANNELS))
    before = variables[0].numpy()
    compiled(images)
    assert not np.array_equal(variables[0].numpy(), before)
    return weakref.ref(compiled.get_concrete_function(images).graph)


def test_a_step_of_a_training_leaves_no_graph() -> None:
    graph = trained_step()
    gc.collect()
    assert graph() is None


def test_the_activation_is_that_of_tensorflow() -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.activations import silu

    x = tf.linspace(-20.0, 20.0, 101)
    found: list[Any] = []
    wanted: list[Any] = []
    for function, values in ((silu, found), (tf.nn.silu, wanted)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        values += [y.numpy(), tape.gradient(y, x).numpy()]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
