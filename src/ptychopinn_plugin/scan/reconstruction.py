"""A reconstructed object with all that is needed to save, load and draw it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.pass_history import PassHistory
from ptychopinn_plugin.scan.quality import Quality

# That of files that do not name their residual: all were written with this noise model.
AMPLITUDE_RESIDUAL = r'$\sum(|\Psi|-\sqrt{I})^2 / \sum I$'


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Object, probe and positions that were reconstructed, and how.

    Attributes:
        object_canvas: complex64 (H, W); NaN where no probe reached.
        origin_px: (row, column) coordinate of pixel (0, 0) of the canvas, object pixels, in the
            coordinates of `positions_px`; (0, 0) unless positions lie outside the given canvas.
        probe: complex64 (modes, N, N), in the scale of `ScanData.probe`.
        positions_px: float64 (n, 2), (row, column), object pixels, as `ScanData.positions_px`;
            those of the scan, or the refined ones where positions were refined.
        coverage: float32 (H, W), summed |probe|^2 over frames, relative to its maximum.
        residual: float64 (steps,), the misfit to the frames during each step, as the last value
            that of the result; see `residual_name`.
        stages: name of the kind of each step, 'network' or 'solver'.
        backend: the framework that computed it.
        seconds: wall time of the reconstruction with set-up, without imports.
        pixel_size_m: (height, width) of one object pixel, metres; None where it is not known.
        model_name: fingerprint of the model that was given, '' without one; where it was not used,
            `remarks` say so.
        losses: the training history of the model, positive, () without a model.
        residual_name: formula of `residual` in matplotlib's mathtext, by default
            sum (|Psi| - sqrt(counts))^2 / sum counts; '' where it is not known.
        remarks: what was found beside the object, a sentence each.
        warning: why the object is probably wrong, and what to try; '' where nothing says so.
        scan_index: int64 (n,), the number of each frame in its source; None where all frames of
            the source were used, in its order.
        probe_refined: whether the reconstruction changed the probe that it was given.
        estimates: variation of the probe, flux, background, and the positions before they were
            refined; None for what was not estimated.
        quality: resolution and errors; None where they were not estimated.
        network_change: complex64 (H, W), what a network changed in the object: without it the
            object is `object_canvas` less this; NaN where no probe reached, None where no network
            changed it.
        settings: those that the reconstruction was called with, `name = value`, one a string; ()
            where they are not known.
        version: of ptychopinn-plugin that computed it, '' where it is not known.
        history: passes in all and how the last ones were done, from which a reconstruction that
            continues this one starts.
    """

    object_canvas: npt.NDArray[np.complex64]
    origin_px: tuple[int, int]
    probe: npt.NDArray[np.complex64]
    positions_px: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float32]
    residual: npt.NDArray[np.float64]
    stages: tuple[str, ...]
    backend: Backend
    seconds: float
    pixel_size_m: tuple[float, float] | None = None
    model_name: str = ''
    losses: tuple[float, ...] = ()
    residual_name: str = AMPLITUDE_RESIDUAL
    remarks: tuple[str, ...] = ()
    warning: str = ''
    probe_refined: bool = False
    scan_index: npt.NDArray[np.int64] | None = None
    estimates: Estimates = field(default_factory=Estimates)
    quality: Quality | None = None
    network_change: npt.NDArray[np.complex64] | None = None
    settings: tuple[str, ...] = ()
    version: str = ''
    history: PassHistory = field(default_factory=PassHistory)

    @property
    def iterations(self) -> int:
        """Number of physics passes."""
        return self.stages.count('solver')
