"""How far neighbouring probes overlap, and what to do where that is too little."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.scan.data import ComplexArray, PositionArray
from ptychopinn_plugin.scan.statistics import neighbour_step_px, probe_diameter_px

# Below about 60 % the reconstruction is no longer well determined (Bunk et al. 2008).
WANTED = 0.6
# By passes from an empty object alone, simulated scans of 64 frames at 1e6 photons with 60 %
# overlap came out with errors of 0.016 to 0.05, with 44 % of 0.04 to 0.2, with 33 % of 0.09 to 0.6,
# with 23 % of 0.2 to 0.7.
LITTLE, TOO_LITTLE = 0.5, 0.4
# Misfit of held-out photons relative to photon noise, and the share of the differences that they
# leave, above which frames that overlap little did not determine the object: of the same, 44 % with
# an error of 0.04 left 1.16 and 0.02, those with 0.07 or more 1.28 or more, or 0.05 and more.
HELD_OUT, HELD_OUT_SHARE = 1.25, 0.05


@dataclass(frozen=True)
class Overlap:
    """Overlap of neighbouring probes.

    Attributes:
        step_px: median distance to the nearest other position.
        diameter_px: of the circle that holds 90 % of the probe's photons.
    """

    step_px: float
    diameter_px: float

    @classmethod
    def of(cls, positions_px: PositionArray, probe: ComplexArray) -> Overlap:
        """Return the overlap of a scan.

        Args:
            positions_px: float64 (n, 2), object pixels, two different ones at least.
            probe: complex (modes, N, N).
        """
        return cls(neighbour_step_px(positions_px), probe_diameter_px(probe))

    @property
    def share(self) -> float:
        """Return 1 - step / diameter (Bunk et al., doi:10.1016/j.ultramic.2007.08.003)."""
        return 1 - self.step_px / self.diameter_px

    def sentence(self, *, probe_held: bool = False) -> str:
        """Return what was found, what is needed and what to do.

        Args:
            probe_held: whether the probe is held already; else that is one way to need less.
        """
        needed = (1 - WANTED) * self.diameter_px
        hold = '' if probe_held else ', or hold a probe that is known (update_probe = off)'
        return (
            f'neighbouring probes overlap by {max(0.0, self.share):.0%} (step {self.step_px:.1f} '
            f'px, probe {self.diameter_px:.1f} px); {WANTED:.0%} are needed to determine object '
            f'and probe: take steps of at most {needed:.0f} px or a larger probe{hold}'
        )

    def advice(
        self, held_out: float, held_out_unexplained: float, *, probe_held: bool = False
    ) -> str:
        """Return that frames overlap too little for a result, '' where they do not.

        Args:
            held_out: misfit of photons that were held out, relative to photon noise.
            held_out_unexplained: share of the differences between the frames that they leave.
            probe_held: whether the probe was held.
        """
        fits = held_out <= HELD_OUT and not held_out_unexplained > HELD_OUT_SHARE
        if self.share >= LITTLE or fits:
            return ''
        return f'{self.sentence(probe_held=probe_held)}; photons that were held out do not fit'
