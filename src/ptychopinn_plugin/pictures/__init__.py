"""Pictures of reconstructions."""

from ptychopinn_plugin.pictures.figure import SUFFIXES, picture

__all__ = ['SUFFIXES', 'picture']
