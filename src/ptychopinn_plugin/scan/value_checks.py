"""Checks of the values of positions, probe and counts; each fault is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.fields import ScanFields
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_source import frames_in_file

Array = npt.NDArray[Any]

# Larger extents are positions in nanometres or metres by mistake.
MAX_EXTENT_PX = 100_000.0


def position_faults(positions_px: Array) -> list[str]:
    """Return what is wrong with the values of positions (n, 2)."""
    faults = []
    wrong = np.flatnonzero(~np.isfinite(positions_px).all(axis=1))
    if wrong.size:
        first = int(wrong[0])
        more = f' ({wrong.size} such positions)' if wrong.size > 1 else ''
        value = ' '.join(str(positions_px[first]).split())
        faults.append(f'positions_px[{first}] is not finite: {value}{more}')
    finite = positions_px[np.isfinite(positions_px).all(axis=1)]
    if len(np.unique(finite, axis=0)) < 2 and not wrong.size:
        found = len(np.unique(finite, axis=0))
        faults.append(f'a scan needs at least two distinct positions, got {found}')
    if len(finite) and float(np.ptp(finite, axis=0).max()) > MAX_EXTENT_PX:
        faults.append(
            f'positions_px span {np.ptp(finite, axis=0).max():.3g} pixels, more than '
            f'{MAX_EXTENT_PX:.0f}; positions are in object pixels, not in metres or nanometres'
        )
    return faults


def probe_value_faults(probe: Array) -> list[str]:
    """Return what is wrong with the values of a probe."""
    if not probe.size:
        return []
    wrong = np.argwhere(~np.isfinite(probe))
    if wrong.size:
        place = ', '.join(str(int(i)) for i in wrong[0])
        more = f' ({len(wrong)} such pixels)' if len(wrong) > 1 else ''
        return [f'probe[{place}] is not finite: {probe[tuple(wrong[0])]}{more}']
    if not np.any(probe):
        return ['probe is zero everywhere; a starting probe with photons in it is needed']
    return []


def count_value_faults(scan: ScanFields) -> list[str]:
    """Return what is wrong with the values of counts outside the mask.

    Frames that stay in their file are read once for each mask.
    """
    stack = frames_in_file(scan.counts)
    if stack is None:
        return _read_value_faults(scan)
    key = scan.mask.tobytes()
    if key not in stack.faults:
        stack.faults[key] = _read_value_faults(scan)
    return list(stack.faults[key])


def _read_value_faults(scan: ScanFields) -> list[str]:
    """Return what is wrong with the values of counts outside the mask, in one pass over them."""
    kinds: dict[str, Callable[[Array], Array]] = {
        'NaN': np.isnan,
        'infinite': np.isinf,
        'negative': lambda values: values < 0,
    }
    first: dict[str, str] = {}
    found = dict.fromkeys(kinds, 0)
    total = 0.0
    good = ~scan.mask
    for start, frames in frame_chunks(scan.counts):
        low, high = frames.min(), frames.max(axis=0)
        # False with NaN too: one test for all kinds, so that sound frames are looked at once.
        if low >= 0 and high.max() < np.inf:
            total += float(high[good].max())
            continue
        for kind, is_kind in kinds.items():
            wrong = np.argwhere(is_kind(frames) & good)
            found[kind] += len(wrong)
            if len(wrong) and kind not in first:
                frame, row, column = (int(i) for i in wrong[0])
                value = frames[frame, row, column]
                first[kind] = (
                    f'counts[{start + frame}, {row}, {column}] is {kind} ({value}): frame '
                    f'{start + frame}, pixel row {row}, column {column}'
                )
        total += float(np.nanmax(np.where(good, frames, 0), initial=0))
    faults = [_with_advice(text, found[kind]) for kind, text in first.items()]
    if not faults and total == 0:
        faults.append('counts are zero in every frame outside the mask')
    return faults


def _with_advice(text: str, values: int) -> str:
    many = f'; {values} such values in all' if values > 1 else ''
    return f'{text}{many}; counts must be finite and not negative, or the pixel masked as bad'
