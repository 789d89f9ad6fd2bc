"""The PyTorch backend; the only folder that imports torch and lightning."""

from ptychopinn_plugin.engines.pytorch.engine import PyTorchEngine

__all__ = ['PyTorchEngine']
