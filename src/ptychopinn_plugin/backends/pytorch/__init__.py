"""The PyTorch backend; the only folder that imports torch and lightning."""

from importlib.util import find_spec

from ptychopinn_plugin.backends.pytorch.engine import PyTorchEngine

# Imported for a training only, but without it this backend is not whole.
if find_spec('lightning') is None:
    raise ModuleNotFoundError("No module named 'lightning'", name='lightning')

__all__ = ['PyTorchEngine']
