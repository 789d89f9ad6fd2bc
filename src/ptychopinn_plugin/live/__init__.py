"""Reconstruction of scans while they are being recorded."""

from ptychopinn_plugin.live.live_reconstruction import LiveReconstruction

__all__ = ['LiveReconstruction']
