"""Backends: the frameworks that compute, each behind the same `Engine`."""

from ptychopinn_plugin.backends.registry import engine_class

__all__ = ['engine_class']
