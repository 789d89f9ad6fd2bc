"""Which functions of the solver have another text that computes the same by fused loops."""

from __future__ import annotations

import functools
import logging

from ptychopinn_plugin.physics.processor_ops import NO_FUNCTIONS, Functions
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)

# Detector pixels of all frames. Numba takes half a second to load, which a reconstruction of
# 441 frames of 64 x 64 takes about 30 passes to gain, and a process that reconstructs more than
# one scan gains with the next.
LEAST_PIXELS = 2**20


def functions_for(scan: ScanData) -> Functions:
    """Return the functions with fused loops, none for a scan that is too small to gain by them."""
    if scan.frame_count * scan.frame_size**2 < LEAST_PIXELS:
        return NO_FUNCTIONS
    return fused_functions()


@functools.cache
def fused_functions() -> Functions:
    """Return the function with fused loops for each function that has one.

    None where Numba is not installed, or does not work here: the functions themselves are as right,
    and take up to twice as long.
    """
    try:
        from ptychopinn_plugin.solver.fused.functions import FUNCTIONS
    except (ImportError, OSError) as error:
        logger.info('Loops are not fused: Numba cannot be imported (%s)', error)
        return NO_FUNCTIONS
    logger.debug('Loops are fused by Numba')
    return FUNCTIONS
