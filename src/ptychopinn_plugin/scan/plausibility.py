"""Checks of a scan that was read: what no measurement can be is refused, with what it may be."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.scan import statistics as stats
from ptychopinn_plugin.scan.data import ScanData

LEAST_EXTENT_PX = 2.0
# A scan with so small a step, all of it within the probe, has no second view of anything.
LEAST_STEP_PX = 0.5
# So many frames, so that a handful at one place, say of a calibration, is none of it.
MANY_FRAMES = 16
# Masks of beamstops, gaps and borders leave most of the pixels, or most of the light.
MOST_MASKED = 0.5
LEAST_LIGHT = 0.5
# Name and size in metres of the units that positions come in by mistake.
UNITS_M = {'metres': 1.0, 'millimetres': 1e-3, 'micrometres': 1e-6, 'nanometres': 1e-9}
# Steps of scans in object pixels: at least a fraction of one, at most a frame.
USUAL_STEP_PX = 1.0


def implausible(scan: ScanData) -> list[str]:
    """Return what cannot be true of a scan, one sentence each.

    Args:
        scan: a checked scan, all of its frames.
    """
    return [*_step_faults(scan), *_mask_faults(scan)]


def _step_faults(scan: ScanData) -> list[str]:
    """Return why positions are in no object pixels."""
    extent = float(np.ptp(scan.positions_px, axis=0).max())
    step = stats.neighbour_step_px(scan.positions_px)
    distinct = len(np.unique(scan.positions_px, axis=0))
    diameter = stats.probe_diameter_px(scan.probe)
    found = f'the positions span {extent:.3g} object pixels with a step of {step:.3g}'
    if extent < LEAST_EXTENT_PX or (
        distinct >= MANY_FRAMES and step < LEAST_STEP_PX and extent < diameter
    ):
        return [f'{found}, a small part of the probe ({diameter:.0f} px); {_unit(scan, step)}']
    if step > scan.frame_size:
        return [
            f'{found}, more than the {scan.frame_size} pixels of a frame, so that no two frames '
            f'overlap; {_unit(scan, step)}'
        ]
    return []


def _unit(scan: ScanData, step: float) -> str:
    """Return which unit the positions may have, from the step that they would have in pixels."""
    needed = 'positions must be in object pixels'
    pixel_m = scan.metadata.pixel_size_m
    if pixel_m is None:
        return (
            f'{needed}: are they in metres or micrometres? Divide them by the size of a pixel, or '
            'name it, for metres in an .npz, with load_scan(pixel_size_m=...)'
        )
    pixels = {name: step * unit / pixel_m[1] for name, unit in UNITS_M.items()}
    fitting = [
        f'{name} (a step of {size:.3g} px)'
        for name, size in pixels.items()
        if USUAL_STEP_PX <= size <= scan.frame_size
    ]
    if not fitting:
        return needed
    return (
        f'{needed} of {pixel_m[1] * 1e9:.4g} nm: they look like {" or ".join(fitting)}; divide '
        'them by the size of a pixel'
    )


def _mask_faults(scan: ScanData) -> list[str]:
    """Return why a mask is the wrong way round."""
    masked = float(scan.mask.mean())
    if masked <= MOST_MASKED:
        return []
    light = stats.empty_object_frame(scan.probe)
    share = float(light[~scan.mask].sum() / light.sum())
    if share >= LEAST_LIGHT:
        return []
    return [
        f'the mask leaves out {masked:.1%} of the pixels, on which the probe gives '
        f'{1 - share:.1%} of its light: is it inverted? True marks a bad pixel'
    ]
