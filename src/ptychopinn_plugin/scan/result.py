"""A reconstruction beside what is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import Reconstruction


@dataclass(frozen=True, eq=False)
class Result:
    """A reconstruction, where its frames lay and how large a pixel is.

    Attributes:
        reconstruction: the reconstruction.
        positions_px: float64 (n, 2), (row, column), object pixels, as `ScanData.positions_px`.
        pixel_size_m: (height, width) of one object pixel, metres; None where it is not known.
    """

    reconstruction: Reconstruction
    positions_px: npt.NDArray[np.float64]
    pixel_size_m: tuple[float, float] | None = None
