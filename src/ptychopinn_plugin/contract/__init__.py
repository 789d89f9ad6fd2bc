"""The data contract and its readers; `contract.preflight` looks at a scan and needs SciPy."""

from ptychopinn_plugin.contract.canvas import Canvas, canvas_of
from ptychopinn_plugin.contract.npz import load_npz
from ptychopinn_plugin.contract.orientation import orient
from ptychopinn_plugin.contract.scan import ScanData, ScanMetadata

__all__ = [
    'Canvas',
    'ScanData',
    'ScanMetadata',
    'canvas_of',
    'load_npz',
    'orient',
]
