"""The scan that a live reconstruction starts from: probe, mask and geometry, no frames yet."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import ScanData, ScanMetadata
from ptychopinn_plugin.scan.data import BoolArray
from ptychopinn_plugin.scan.value_checks import probe_value_faults

SOURCE = 'live scan'


def starting_scan(
    probe: npt.NDArray[Any], geometry: ScanMetadata | None, mask: BoolArray | None
) -> ScanData:
    """Return a scan with probe, mask and geometry; its two frames stand for those to come.

    Args:
        probe: as in `LiveReconstruction`.
        geometry: of the instrument.
        mask: bool (N, N), True where bad.

    Raises:
        ScanDataError: probe or mask have a fault.
    """
    modes = np.asarray(probe)
    modes = (modes[None] if modes.ndim == 2 else modes).astype(np.complex64)
    faults = probe_value_faults(modes)
    if modes.ndim != 3 or modes.shape[-1] != modes.shape[-2]:
        faults = [f'probe must have shape (modes, N, N) or (N, N), got {np.shape(probe)}']
    if faults:
        raise ScanDataError(faults)
    size = modes.shape[-1]
    return ScanData(
        counts=np.ones((2, size, size), np.float32),
        positions_px=np.array([[0.0, 0.0], [0.0, 1.0]]),
        probe=modes,
        mask=np.zeros((size, size), np.bool_) if mask is None else np.asarray(mask),
        metadata=dataclasses.replace(geometry or ScanMetadata(), scan_index=None),
        source=SOURCE,
    )
