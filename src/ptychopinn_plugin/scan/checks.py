"""Checks of a scan against the data contract; each fault is one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.fields import ScanFields
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.value_checks import (
    count_value_faults,
    position_faults,
    probe_value_faults,
)

Array = npt.NDArray[Any]


def scan_faults(scan: ScanFields) -> list[str]:
    """Return every fault of a scan, one sentence each; an empty list for a valid scan.

    A check that another fault makes meaningless (values of an array of the wrong shape, say) is
    left out. Needs memory for a few frames at a time, whatever the size of the stack.
    """
    faults = [*_count_form(scan), *_position_form(scan), *_probe_form(scan), *_mask_form(scan)]
    faults += _guess_faults(scan)
    faults += _true_patch_faults(scan)
    faults += _index_faults(scan)
    sound = not faults
    if sound:
        faults += count_value_faults(scan)
    if _is_pairs(scan.positions_px):
        faults += position_faults(scan.positions_px)
    if np.issubdtype(scan.probe.dtype, np.complexfloating):
        faults += probe_value_faults(scan.probe)
    return faults


def _wrong_dtype(name: str, array: Array, dtype: type[np.generic]) -> list[str]:
    needed = np.dtype(dtype)
    return [] if array.dtype == needed else [f'{name} must be {needed}, got {array.dtype}']


def _count_form(scan: ScanFields) -> list[str]:
    faults = _wrong_dtype('counts', scan.counts, np.float32)
    shape = scan.counts.shape
    if len(shape) != 3:
        return [*faults, f'counts must have shape (n, N, N), got {shape}']
    if shape[0] == 0:
        faults.append(f'counts is empty: {shape} holds no frame')
    if shape[1] != shape[2]:
        faults.append(
            f'frames must be square, got {shape[1]} x {shape[2]} pixels; crop or pad them to one '
            'side around the zero frequency'
        )
    elif shape[1] < 2:
        faults.append(f'frames must be at least 2 x 2 pixels, got {shape[1]} x {shape[2]}')
    return faults


def _is_pairs(positions_px: Array) -> bool:
    return (
        positions_px.ndim == 2
        and positions_px.shape[1] == 2
        and len(positions_px) > 0
        and np.issubdtype(positions_px.dtype, np.floating)
    )


def _position_form(scan: ScanFields) -> list[str]:
    faults = _wrong_dtype('positions_px', scan.positions_px, np.float64)
    frames = scan.counts.shape[0] if scan.counts.ndim else 0
    if scan.positions_px.shape != (frames, 2):
        faults.append(
            f'{frames} diffraction patterns need positions_px of shape ({frames}, 2), '
            f'got {scan.positions_px.shape}'
        )
    return faults


def _probe_form(scan: ScanFields) -> list[str]:
    faults = _wrong_dtype('probe', scan.probe, np.complex64)
    shape = scan.probe.shape
    if len(shape) != 3 or shape[0] == 0:
        return [*faults, f'probe must have shape (modes, N, N) with at least one mode, got {shape}']
    if scan.counts.ndim == 3 and shape[1:] != scan.counts.shape[1:]:
        found = f'{shape[1]} x {shape[2]}'
        needed = f'{scan.counts.shape[1]} x {scan.counts.shape[2]}'
        faults.append(
            f'probe is {found} pixels but the frames are {needed}; it must have the size of a frame'
        )
    return faults


def _mask_form(scan: ScanFields) -> list[str]:
    faults = _wrong_dtype('mask', scan.mask, np.bool_)
    if scan.counts.ndim == 3 and scan.mask.shape != scan.counts.shape[1:]:
        faults.append(
            f'mask must have the shape of a frame, {scan.counts.shape[1:]}, got {scan.mask.shape}'
        )
    if scan.mask.size and scan.mask.all():
        faults.append('mask leaves no detector pixel: every one is marked bad (True means bad)')
    return faults


def _guess_faults(scan: ScanFields) -> list[str]:
    guess = scan.object_guess
    if guess is None:
        return []
    faults = _wrong_dtype('object_guess', guess, np.complex64)
    if guess.ndim != 2 or 0 in guess.shape:
        return [*faults, f'object_guess must have shape (H, W), got {guess.shape}']
    wrong = np.argwhere(~np.isfinite(guess))
    if wrong.size:
        row, column = (int(i) for i in wrong[0])
        more = f' ({len(wrong)} such pixels)' if len(wrong) > 1 else ''
        faults.append(f'object_guess[{row}, {column}] is not finite: {guess[row, column]}{more}')
    return faults


def _true_patch_faults(scan: ScanFields) -> list[str]:
    patches = scan.true_patches
    if patches is None:
        return []
    faults = _wrong_dtype('true_patches', patches, np.complex64)
    if patches.shape != scan.counts.shape:
        return [
            *faults,
            f'{scan.counts.shape[0]} diffraction patterns need true_patches of shape '
            f'{scan.counts.shape}, got {patches.shape}',
        ]
    for start, some in frame_chunks(patches):
        wrong = np.argwhere(~np.isfinite(some))
        if wrong.size:
            frame, row, column = (int(i) for i in wrong[0])
            place = f'{start + frame}, {row}, {column}'
            faults.append(f'true_patches[{place}] is not finite: {some[frame, row, column]}')
            break
    return faults


def _index_faults(scan: ScanFields) -> list[str]:
    index = scan.metadata.scan_index
    if index is None or index.shape == scan.counts.shape[:1]:
        return []
    return [
        f'{scan.counts.shape[0]} diffraction patterns need as many scan_index values, '
        f'got {index.shape}'
    ]
