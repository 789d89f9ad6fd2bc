"""The TensorFlow backend; the only folder that imports tensorflow and keras."""

from ptychopinn_plugin.engines.tensorflow.quiet import quiet

with quiet():
    from ptychopinn_plugin.engines.tensorflow.engine import TensorFlowEngine

__all__ = ['TensorFlowEngine']
