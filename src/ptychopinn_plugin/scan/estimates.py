"""What the frames depend on beside object, probe and positions, as a file or a result has it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Estimates:
    """Variation of the probe, flux and background; None for what is not known.

    Frame j sees flux[j] times the light of the probe whose main mode is probe[0] + sum_k
    opr_weights[j, k] opr_modes[k], and the background on top.

    Attributes:
        opr_modes: complex64 (k, N, N), changes of the main mode, in the scale of the probe
            (orthogonal probe relaxation).
        opr_weights: float32 (n, k), of these changes in each frame.
        flux: float64 (n,), photons of each frame relative to their mean.
        background: float32 (N, N), counts added to every frame, zero frequency at index N//2.
        nominal_positions_px: float64 (n, 2), positions before any were refined, in the
            coordinates of the refined ones.
    """

    opr_modes: npt.NDArray[np.complex64] | None = None
    opr_weights: npt.NDArray[np.float32] | None = None
    flux: npt.NDArray[np.float64] | None = None
    background: npt.NDArray[np.float32] | None = None
    nominal_positions_px: npt.NDArray[np.float64] | None = None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is known, by name."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    def faults(self, frames: int, size: int) -> list[str]:
        """Return what does not fit a scan, one sentence each.

        Args:
            frames: n, of the scan.
            size: N, of its frames.
        """
        modes = 0 if self.opr_modes is None else len(self.opr_modes)
        needed: dict[str, tuple[tuple[int, ...], str]] = {
            'opr_modes': ((modes, size, size), 'complex64'),
            'opr_weights': ((frames, modes), 'float32'),
            'flux': ((frames,), 'float64'),
            'background': ((size, size), 'float32'),
            'nominal_positions_px': ((frames, 2), 'float64'),
        }
        faults = [
            f'{name} must be {dtype} {shape}, got {array.dtype} {array.shape}'
            for name, array in self.arrays().items()
            for shape, dtype in [needed[name]]
            if array.shape != shape or array.dtype != np.dtype(dtype)
        ]
        if (self.opr_modes is None) != (self.opr_weights is None):
            faults.append('opr_modes and opr_weights belong together, one of them is missing')
        return faults or self._value_faults()

    def subset(self, frames: npt.NDArray[np.int64]) -> Estimates:
        """Return the estimates of the given frames only, in that order."""
        own = ('opr_weights', 'flux', 'nominal_positions_px')
        arrays = self.arrays()
        return Estimates(**arrays | {name: arrays[name][frames] for name in own if name in arrays})

    def scaled(self, factor: float) -> Estimates:
        """Return the estimates for a probe that is multiplied by a factor."""
        if self.opr_modes is None:
            return self
        scaled = (self.opr_modes * np.float32(factor)).astype(np.complex64)
        return dataclasses.replace(self, opr_modes=scaled)

    def _value_faults(self) -> list[str]:
        """Return values that are not finite, or that no light has."""
        faults = []
        for name, array in self.arrays().items():
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong):
                place = ', '.join(str(int(i)) for i in wrong[0])
                faults.append(f'{name}[{place}] is not finite: {array[tuple(wrong[0])]}')
        if self.flux is not None and np.any(self.flux <= 0):
            faults.append(f'flux must be positive in every frame, its least is {self.flux.min():g}')
        if self.background is not None and np.any(self.background < 0):
            faults.append(
                f'background must hold counts, not negative; its least is {self.background.min():g}'
            )
        return faults
