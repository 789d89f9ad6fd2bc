"""A reconstructed object and all that is needed to save, load and draw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a reconstruction gives.

    Attributes:
        object_canvas: complex64 (H, W); NaN where no probe reached.
        origin_px: (row, column) coordinate of pixel (0, 0) of the canvas, object pixels, in the
            frame of `ScanData.positions_px`; (0, 0) unless positions lie outside the given canvas.
        probe: complex64 (modes, N, N), in the scale of `ScanData.probe`.
        coverage: float32 (H, W), summed |probe|^2 over frames, relative to its maximum.
        residual: float64 (steps,), sum (|Psi| - sqrt(counts))^2 / sum counts at each step.
        stages: name of what made each step, 'network' or 'solver'.
        backend: the framework that computed it.
        seconds: wall time of the reconstruction with set-up, without imports.
        model_name: fingerprint of the model used, '' without one.
        losses: the training history that the model carries, positive, () without a model.
    """

    object_canvas: npt.NDArray[np.complex64]
    origin_px: tuple[int, int]
    probe: npt.NDArray[np.complex64]
    coverage: npt.NDArray[np.float32]
    residual: npt.NDArray[np.float64]
    stages: tuple[str, ...]
    backend: Backend
    seconds: float
    model_name: str = ''
    losses: tuple[float, ...] = ()
