"""Which axis of a stack numbers its frames, decided from the values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

AxisOrder: TypeAlias = Literal['nhw', 'hwn']
Profile = npt.NDArray[np.float64]

# Frames of one scan have about as much light each, with standard deviations of 2 to 15 %; rows and
# columns of the detector differ by 90 % and more, since the light lies around the zero frequency.
CLEAR_RATIO = 3.0
LEAST_VARIATION = 0.3
# Share of the light in the half of an axis around the zero frequency, in its middle or at its ends.
LEAST_IN_HALF = 0.7


def order_from_values(
    blocks: Iterable[tuple[tuple[slice, ...], npt.NDArray[Any]]], shape: tuple[int, ...]
) -> AxisOrder | None:
    """Return the order of a stack's axes, from the light along its first and its last axis.

    Args:
        blocks: (where in the stack, values) of all its parts.
        shape: of the stack.

    Returns:
        'nhw' or 'hwn'; None where the values do not decide.
    """
    first, last = np.zeros(shape[0]), np.zeros(shape[2])
    for place, block in blocks:
        values = np.nan_to_num(block.astype(np.float64), posinf=0.0, neginf=0.0)
        first[place[0]] += values.sum(axis=(1, 2))
        last[place[2]] += values.sum(axis=(0, 1))
    if _is_detector_axis(last, first):
        return 'nhw'
    return 'hwn' if _is_detector_axis(first, last) else None


def _is_detector_axis(light: Profile, other: Profile) -> bool:
    """Return whether light varies along an axis as it does on a detector, and not on the other."""
    quarter = len(light) // 4
    middle = float(light[quarter : len(light) - quarter].sum() / max(light.sum(), 1e-300))
    variation = _variation(light)
    return (
        variation > max(LEAST_VARIATION, CLEAR_RATIO * _variation(other))
        and max(middle, 1 - middle) > LEAST_IN_HALF
    )


def _variation(light: Profile) -> float:
    mean = float(light.mean())
    return float(light.std()) / mean if mean > 0 else 0.0
