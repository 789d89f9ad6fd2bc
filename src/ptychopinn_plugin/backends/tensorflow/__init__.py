"""The TensorFlow backend; the only folder that imports tensorflow and keras."""

import contextlib
import importlib

from ptychopinn_plugin.backends.tensorflow.quiet_import import quiet

# PyTorch loads Triton where it is installed. Triton and TensorFlow both bring an LLVM along, and
# the process is ended by Triton's if TensorFlow's was first.
with contextlib.suppress(ImportError):
    importlib.import_module('triton')
with quiet():
    from ptychopinn_plugin.backends.tensorflow.engine import TensorFlowEngine

__all__ = ['TensorFlowEngine']
