"""The part of an object that a network has changed, in units of the object's estimated error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.reconstruction import Reconstruction

# Share of the largest coverage from which on a pixel counts in summaries.
WELL_COVERED = 0.15
LARGE = 3.0


@dataclass(frozen=True)
class NetworkChange:
    """Summary of what a network changed where the probe reached well.

    Attributes:
        rms: of the change, standard deviations of the object by photon noise.
        large: share of the pixels that changed by more than three of them.
    """

    rms: float
    large: float

    @property
    def remark(self) -> str:
        """A sentence for the result, in lower case and without a full stop."""
        return (
            f'the part of the network is {self.rms:.2g} standard deviations of the object by '
            f'photon noise (rms); it is more than {LARGE:g} in {self.large:.2%} of the pixels'
        )


def change_in_deviations(result: Reconstruction) -> npt.NDArray[np.float32] | None:
    """Return what the network changed, in standard deviations of a complex pixel of the object.

    These are amplitude and phase errors by photon noise together, so that a change as large as the
    noise is 1.

    Args:
        result: its `network_change` and `quality` are used.

    Returns:
        float32 (H, W), NaN where no probe reached; None where no network changed the object or no
        errors were estimated.
    """
    change, quality = result.network_change, result.quality
    if change is None or quality is None:
        return None
    sideways = np.abs(result.object_canvas) * quality.phase_error
    deviation = np.hypot(quality.amplitude_error, sideways)
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.asarray(np.abs(change) / deviation, np.float32)


def summarize_change(result: Reconstruction) -> NetworkChange | None:
    """Summarize what the network changed; None where it is not known."""
    deviations = change_in_deviations(result)
    if deviations is None:
        return None
    values = deviations[(result.coverage > WELL_COVERED) & np.isfinite(deviations)]
    if not values.size:
        return None
    values = values.astype(np.float64)
    return NetworkChange(float(np.sqrt(np.mean(values**2))), float(np.mean(values > LARGE)))
