"""Frames of TIFF files, each with one frame or a stack of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from ptychopinn_plugin.errors import ScanDataError


def read_tiff(path: Path) -> npt.NDArray[Any]:
    """Return the frame (H, W) or the frames (n, H, W) of a TIFF file, as stored.

    Raises:
        ValueError: values of a page are not in the file yet, or the file is no TIFF.
        ScanDataError: it holds colours, or images of different shapes.
    """
    size = path.stat().st_size
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            stored = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            # Values that are missing would be read as zeros.
            if not stored or any(not (at and n) or at + n > size for at, n in stored):
                raise ValueError('a page of it is not complete')
        if len(file.series) != 1 or file.series[0].axes.endswith('S'):
            raise ScanDataError(
                [
                    f'{path} must hold frames of one shape and one value a pixel, got '
                    f'{", ".join(str(series.shape) for series in file.series) or "none"}'
                ]
            )
        return np.asarray(file.asarray())
