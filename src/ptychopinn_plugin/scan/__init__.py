"""The data contract: a scan, what is reconstructed from it, and checks of both."""

from ptychopinn_plugin.scan.axis_orientation import orient
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.continuation import continue_from
from ptychopinn_plugin.scan.data import ScanData, ScanMetadata
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.pass_history import PassHistory
from ptychopinn_plugin.scan.quality import Quality
from ptychopinn_plugin.scan.reconstruction import Reconstruction

__all__ = [
    'Canvas',
    'Estimates',
    'PassHistory',
    'Quality',
    'Reconstruction',
    'ScanData',
    'ScanMetadata',
    'continue_from',
    'orient',
]
