"""Checks of a reconstruction that was read from a file, whatever its format."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.scan import Reconstruction

MOST_STAGES = 20
LONGEST_TEXT = 1000
# Metres a pixel, and pixels of an origin: what lies outside are no such values.
PIXEL_RANGE_M = (1e-15, 1e-1)
FARTHEST_ORIGIN_PX = 10**9


def result_faults(result: Reconstruction) -> list[str]:
    """Return what no reconstruction can be, one sentence each."""
    return [*_shape_faults(result), *_value_faults(result), *_text_faults(result)]


def _shape_faults(result: Reconstruction) -> list[str]:
    canvas, probe = result.object_canvas.shape, result.probe.shape
    faults = []
    if 0 in canvas:
        faults.append(f"'object' {canvas} has no pixel")
    if result.coverage.shape != canvas:
        faults.append(f"'object' {canvas} and 'coverage' {result.coverage.shape} differ")
    change = result.network_change
    if change is not None and change.shape != canvas:
        faults.append(f"'object' {canvas} and 'network_change' {change.shape} differ")
    if 0 in probe or probe[1] != probe[2]:
        faults.append(f"'probe' {probe} must be (modes, N, N)")
    if result.stages and len(result.stages) != len(result.residual):
        faults.append(
            f"'stages' has {len(result.stages)} names, 'residual' {len(result.residual)} values"
        )
    origin: tuple[int, ...] = result.origin_px
    if len(origin) != 2 or any(abs(one) > FARTHEST_ORIGIN_PX for one in origin):
        faults.append(f"'origin_px' is {_short(origin)}; it must be (row, column)")
    return faults


def _value_faults(result: Reconstruction) -> list[str]:
    faults = []
    pixel: tuple[float, ...] | None = result.pixel_size_m
    least, most = PIXEL_RANGE_M
    if pixel is not None and not (len(pixel) == 2 and all(least <= one <= most for one in pixel)):
        faults.append(f"'pixel_size_m' is {_short(pixel)}; it must be (height, width) in metres")
    if not np.isfinite(result.positions_px).all():
        faults.append('the positions are not finite')
    if not np.isfinite(result.probe).all():
        faults.append("'probe' is not finite")
    if math.isinf(result.seconds) or result.seconds < 0:
        faults.append(f"'seconds' is {result.seconds}")
    return faults


def _text_faults(result: Reconstruction) -> list[str]:
    faults = []
    # '' for those of other programs
    if result.backend not in (*get_args(Backend), ''):
        faults.append(f"'backend' is {_short(result.backend)}")
    if len(set(result.stages)) > MOST_STAGES:
        faults.append(f"'stages' has {len(set(result.stages))} different names")
    texts = {
        'model': (result.model_name,),
        'residual_name': (result.residual_name,),
        'stages': tuple(set(result.stages)),
        'remarks': result.remarks,
        'warning': (result.warning,),
    }
    for name, values in texts.items():
        if sum(map(len, values)) > LONGEST_TEXT * MOST_STAGES or not all(
            one in '\n' or one.isprintable() for text in values for one in text
        ):
            faults.append(f'{name!r} is no text that can be shown')
    return faults


def _short(value: object) -> str:
    return repr(value)[:100]
