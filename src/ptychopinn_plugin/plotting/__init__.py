"""Pictures of reconstructions."""

from ptychopinn_plugin.plotting.figure import SUFFIXES, picture

__all__ = ['SUFFIXES', 'picture']
