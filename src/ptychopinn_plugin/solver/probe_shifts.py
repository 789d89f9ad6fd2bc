"""The shifts of a probe that changes: as sums of a few images where that costs less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.shifts import ShiftTerms, least_degree, shift_terms, shifted_images
from ptychopinn_plugin.saved_state import Stateful

# Error of shifted probes relative to the probe, rms: its square, as a residual, lies far below that
# of any noise.
TOLERANCE = 1e-3
# Frames a term: the transforms of the terms and the products with them cost about as much as those
# of so many frames.
FRAMES_A_TERM = 2


@dataclass(eq=False)
class ProbeShifts(Stateful):
    """Keeps the images of the last probe, and the terms that were enough so far.

    Attributes:
        ops: the framework.
        factors: complex64 (terms, N, N) on the device, those of the images; None before the first.
    """

    saved_fields: ClassVar = ('_degree',)

    ops: Ops
    factors: Array | None = None
    _terms: ShiftTerms | None = None
    _degree: int = 0
    _last: tuple[Array, int, Array | None] | None = None

    def images(self, probe: Array, first: int, frames: float) -> Array | None:
        """Return the images of the modes from a first one on, over N, (terms, modes - first, N, N).

        Args:
            probe: complex64 (modes, N, N).
            first: modes before it are left out.
            frames: that share the images; None is returned where each has its own transform for
                less.
        """
        if self._last is not None and self._last[0] is probe and self._last[1] == first:
            return self._last[2]
        found = None
        if first < probe.shape[0]:
            self._find_terms(probe)
            if self._terms is not None and FRAMES_A_TERM * len(self._terms.orders) <= frames:
                modes = probe[first:] / probe.shape[-1]
                found = self.ops.compiled(shifted_images)(modes, self.factors)
        self._last = (probe, first, found)
        return found

    @property
    def degree(self) -> int:
        """Total degree of the terms of the last images."""
        return self._degree

    def weights(self, shifts_px: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the weights of the images for shifts (n, 2), float32 (n, terms)."""
        if self._terms is None:
            raise ValueError('there are no images yet; call images()')
        return self._terms.weights(shifts_px)

    def _find_terms(self, probe: Array) -> None:
        """Take more terms where the light of a probe has spread on the detector; never fewer."""
        power = self.ops.numpy(self.ops.sum_abs2(self.ops.fft2(probe)))
        degree = max(self._degree, least_degree(power, TOLERANCE))
        if degree != self._degree or (degree and self._terms is None):
            self._degree, self._terms = degree, shift_terms(probe.shape[-1], degree)
            self.factors = self.ops.array(self._terms.factors)
