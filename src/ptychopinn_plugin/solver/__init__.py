"""The accelerated physics solver on the object canvas, written once over `Ops`."""

from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.batches import split_frames
from ptychopinn_plugin.solver.problem import Problem

__all__ = ['AcceleratedSolver', 'Problem', 'split_frames']
