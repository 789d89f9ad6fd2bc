"""Keeps tests of the backends from changing one another."""

import sys

import pytest


@pytest.fixture(autouse=True)
def not_deterministic() -> None:
    """Undo what an earlier test of this process may have asked of TensorFlow.

    With deterministic operations it makes no batch ahead, and one at a time. It has a public
    function to begin this, but none to end it.
    """
    if 'tensorflow' in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()
