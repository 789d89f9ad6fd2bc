"""Masks of bad pixels as files of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan.data import BoolArray

KEY = 'bad_pixels'
ENDINGS = ('.npz', '.npy')


def save_mask(path: Path, mask: BoolArray) -> None:
    """Write a mask as `bad_pixels` of an .npz file, or as an .npy file, whole or not at all.

    Args:
        path: the file.
        mask: bool (N, N), True where bad, zero frequency at N//2.

    Raises:
        OutputError: the file cannot be written there.
    """
    check_output(path, ENDINGS)
    with replacing(path) as file:
        if path.suffix.lower() == '.npy':
            np.save(file, mask, allow_pickle=False)
        else:
            np.savez_compressed(file, allow_pickle=False, **{KEY: mask})


def read_mask_file(path: Path) -> BoolArray:
    """Return a mask, bool (N, N), True where bad, zero frequency at N//2.

    Args:
        path: an .npy file, or an .npz with `bad_pixels`, a scan for instance.

    Raises:
        ScanDataError: the file cannot be read or holds no mask.
    """
    if path.suffix.lower() == '.npy':
        what = f'the mask file {path} cannot be read'
        with reading(lambda text: ScanDataError([text]), what):
            stored = np.load(path, allow_pickle=False)
    else:
        with NpzArchive(path) as archive:
            if KEY not in archive:
                raise ScanDataError([f'{path} holds no mask: {KEY!r} is not in it'])
            stored = archive.read(KEY)
    is_mask = stored.dtype.kind == 'b' or (stored.dtype.kind in 'ui' and not np.any(stored > 1))
    if stored.ndim != 2 or not is_mask:
        raise ScanDataError(
            [
                f'the mask of {path} must be an image of true (bad) and false, got {stored.dtype} '
                f'{stored.shape}'
            ]
        )
    return np.asarray(stored, np.bool_)
