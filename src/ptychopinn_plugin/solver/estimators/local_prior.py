"""The object's prior where the dose varies over the object, as between frames of a sparse scan.

`ObjectPrior` damps every pixel as the mean dose asks for. Between frames that overlap little a
pixel gets a small part of it, and the noise that is fitted there stays. Here the object is damped
at a few doses, and each pixel is interpolated between the two nearest to its own (a space-variant
Wiener filter by interpolation: Nagy and O'Leary, SIAM J. Sci. Comput. 19, 1063, 1998,
doi:10.1137/S106482759528507X). The dose varies over a probe's width, the filters reach a few
pixels.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.estimators.object_prior import ObjectPrior, transformed_shape
from ptychopinn_plugin.solver.parts.partition import Partition
from ptychopinn_plugin.solver.updates import DOSE_FLOOR

# Doses from the floor of a step, see `DOSE_FLOOR`, to the largest one, in equal ratios: by factors
# of 3.7.
LEVELS = 4


@dataclasses.dataclass(eq=False)
class LocalPrior(ObjectPrior):
    """Damps each pixel as its own dose asks for.

    Attributes:
        levels: float64 (LEVELS,), photons an object pixel.
        shares: float32 (H, W) each, of the levels in each pixel; they add up to 1.
    """

    # Steps of more than one update were not measured with it.
    updates_a_step: ClassVar[int] = 1
    levels: npt.NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.ones(1))
    shares: tuple[Array, ...] = ()

    @classmethod
    def for_dose(cls, ops: Ops, dose: Array, *, estimates_at_once: bool = False) -> LocalPrior:
        """Return the prior for a dose.

        Args:
            ops: the framework.
            dose: float32 (H, W), photons an object pixel, of all frames.
            estimates_at_once: whether the first call of `estimate` counts, for an object that is
                there already.
        """
        light = ops.numpy(dose).astype(np.float64)
        largest = float(light.max())
        raised = light + DOSE_FLOOR * largest
        levels = np.geomspace(DOSE_FLOOR, 1 + DOSE_FLOOR, LEVELS) * largest
        place = np.interp(np.log(raised), np.log(levels), np.arange(LEVELS))
        shares = tuple(
            ops.array(np.maximum(1 - np.abs(place - level), 0).astype(np.float32))
            for level in range(LEVELS)
        )
        prior = cls(levels=levels, shares=shares)
        if estimates_at_once:
            prior.estimate_at_once()
        return prior

    def apply(self, ops: Ops, partition: Partition, canvas_object: Array, step: float) -> Array:
        """Return the object after the proximal step of the prior, see `ObjectPrior.apply`."""
        if self.spectrum is None:
            return canvas_object
        shape = transformed_shape(partition.whole_canvas.shape)
        mean = ops.array(np.asarray(self.mean))
        total = mean
        for level, share in zip(self.levels, self.shares, strict=True):
            gains = functools.partial(self.gains, ops, shape, step=step, dose=float(level))
            damped = partition.scale_spectrum(ops, canvas_object - mean, shape, gains)
            total = total + ops.scale(damped, share)
        return total
