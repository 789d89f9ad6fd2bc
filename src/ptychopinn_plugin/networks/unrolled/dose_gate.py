"""How far a learned stage is believed, by dose: measured on held-out frames, kept in the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# log10 of the mean dose, photons an object pixel, that trust is measured at.
DOSE_BINS = np.arange(-1.0, 7.0)
FACTORS = (0.0, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Trust:
    """A factor of the network's update for each dose.

    Attributes:
        factor: float32 (DOSE_BINS,), 0 (physics alone) to 1.
    """

    factor: npt.NDArray[np.float32]

    @classmethod
    def full(cls) -> Trust:
        """Believe at every dose, as while training."""
        return cls(np.ones(DOSE_BINS.size, np.float32))

    @classmethod
    def measured(
        cls, log10_doses: npt.NDArray[np.float64], ratios: npt.NDArray[np.float64]
    ) -> Trust:
        """Choose the best factor at each dose; 0 where nothing was measured.

        Args:
            log10_doses: (cases,), log10 of the mean dose of each case.
            ratios: (cases, FACTORS), what the update with each factor left of the excess deviance
                of held-out photons.
        """
        factor = np.zeros(DOSE_BINS.size, np.float32)
        for index, centre in enumerate(DOSE_BINS):
            near = np.abs(log10_doses - centre) <= 0.75
            if near.any():
                factor[index] = FACTORS[int(np.argmin(np.mean(ratios[near], axis=0)))]
        return cls(factor)

    def at(self, log10_dose: float) -> float:
        """Return the factor at a dose, between bins by interpolation."""
        return float(np.interp(log10_dose, DOSE_BINS, self.factor))
