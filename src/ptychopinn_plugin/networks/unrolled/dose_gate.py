"""A gate of the learned stage by dose, measured on held-out frames and kept in the model file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.weight_arrays import Shapes, Weights, check_weights

# log10 of the mean dose, photons an object pixel; one bin a decade, for a training validates on a
# few episodes only.
DOSE_BINS = np.arange(-1.0, 7.0)
# Cases up to three quarters of a decade from a bin's centre count for it: bins overlap, so that few
# cases still fill all bins between the lowest and the highest dose.
BIN_REACH = 0.75
# Off, half and full update: coarse, for the same reason.
FACTORS = (0.0, 0.5, 1.0)
# The name in model files; it is older than the class.
GATE_NAME = 'trust.factor'


@dataclass(frozen=True, eq=False)
class DoseGate:
    """A factor of the network's update for each dose.

    Attributes:
        factor: float32 (DOSE_BINS,), 0 (physics alone) to 1 (the full update).
    """

    factor: npt.NDArray[np.float32]

    @classmethod
    def open(cls) -> DoseGate:
        """Return the gate of training: the full update at every dose."""
        return cls(np.ones(DOSE_BINS.size, np.float32))

    @classmethod
    def from_validation(
        cls, log10_doses: npt.NDArray[np.float64], ratios: npt.NDArray[np.float64]
    ) -> DoseGate:
        """Choose the factor with the least remaining deviance at each dose.

        Bins without a case get 0: the update is untested there.

        Args:
            log10_doses: (cases,), log10 of the mean dose of each case.
            ratios: (cases, FACTORS), share of the excess deviance of held-out photons that remains
                after the update times each factor.
        """
        factor = np.zeros(DOSE_BINS.size, np.float32)
        for index, centre in enumerate(DOSE_BINS):
            near = np.abs(log10_doses - centre) <= BIN_REACH
            if near.any():
                factor[index] = FACTORS[int(np.argmin(np.mean(ratios[near], axis=0)))]
        return cls(factor)

    def factor_at(self, log10_dose: float) -> float:
        """Return the factor at a dose, between bins by linear interpolation."""
        return float(np.interp(log10_dose, DOSE_BINS, self.factor))


def join_gate(weights: Weights, gate: DoseGate) -> Weights:
    """Return the arrays of a model file: a network's weights and its gate."""
    return {**weights, GATE_NAME: gate.factor}


def split_gate(weights: Weights, expected: Shapes) -> tuple[Weights, DoseGate]:
    """Split the arrays of a model file into the network's weights and the gate.

    Args:
        weights: all arrays of the file.
        expected: shapes of the network's weights.

    Raises:
        ModelMismatchError: names or shapes are not those of the network.
    """
    check_weights(weights, {**expected, GATE_NAME: DOSE_BINS.shape})
    network = {name: value for name, value in weights.items() if name != GATE_NAME}
    return network, DoseGate(weights[GATE_NAME])
