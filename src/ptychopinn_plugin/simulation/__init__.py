"""Simulated scans with known ground truth."""

from ptychopinn_plugin.config.simulation import ObjectKind, ScanPattern, SimulationConfig
from ptychopinn_plugin.simulation.npz_writer import save_simulated
from ptychopinn_plugin.simulation.simulated_scan import SimulatedScan, simulate

__all__ = [
    'ObjectKind',
    'ScanPattern',
    'SimulatedScan',
    'SimulationConfig',
    'save_simulated',
    'simulate',
]
