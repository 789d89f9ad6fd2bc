"""Further incoherent modes of a probe: made, and dropped where the frames do not need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.unknowns import State, Unknowns

# Share of the power that each further mode starts with: enough to leave zero, where its gradient
# vanishes, and little beside the main mode.
STARTING_SHARE = 0.005
# A mode that the frames need grows: measured by its power from one pass to another.
FIRST_LOOK, LAST_LOOK = 4, 6
LEAST_GROWTH = 1.15
# Few frames fit amplitudes for longer, and their modes grow later: real ones of 100 frames of
# 256 x 256 by 1.04 until then, while modes that are not needed stay or shrink. Those between are
# looked at again, of few frames only: a background made modes of 441 frames grow as slowly.
UNDECIDED_GROWTH, SECOND_LOOK = 1.02, 12
# A mode that stood for something else, such as positions that are refined meanwhile, fades: it has
# lost half of its largest share and still loses more than this in one pass. Positions 1.5 px off
# gave modes of 4 % that lost a fifth in each; those that are real settle.
FADED, FADING = 0.5, 0.93

Probe = npt.NDArray[np.complex64]


def hermite_modes(probe: Probe, count: int) -> Probe:
    """Return a probe with further modes: its first one times polynomials of the coordinates.

    What a moving source or sample makes of a probe is its derivatives and products with
    coordinates (Hermite-like). Each is made orthogonal to those before.

    Args:
        probe: complex64 (modes, N, N).
        count: modes wanted; a probe that has as many is returned as it is.

    Returns:
        complex64 (count, N, N).

    Raises:
        ValueError: more than six modes.
    """
    if len(probe) >= count:
        return probe
    modes = [mode.astype(np.complex128) for mode in probe]
    power = float(np.sum(np.abs(probe) ** 2))
    for polynomial in _polynomials(modes[0])[: count - len(probe)]:
        mode = modes[0] * polynomial
        for other in modes:
            mode = mode - other * (np.vdot(other, mode) / max(np.vdot(other, other).real, 1e-30))
        norm = max(float(np.linalg.norm(mode)), 1e-30)
        modes.append(mode * np.sqrt(STARTING_SHARE * power) / norm)
    return np.stack(modes).astype(np.complex64)


def orthogonal_modes(probe: Probe) -> Probe:
    """Return the mutually orthogonal modes of the same mutual intensity, the strongest first.

    Args:
        probe: complex64 (modes, N, N).
    """
    matrix = probe.reshape(len(probe), -1).astype(np.complex128)
    _, values, vectors = np.linalg.svd(matrix, full_matrices=False)
    modes = values[:, None] * vectors
    # The global phase of each mode is free: keep that of the mode that it resembles most.
    overlap = matrix @ modes.conj().T
    phases = np.exp(1j * np.angle(overlap[np.argmax(np.abs(overlap), axis=0), range(len(modes))]))
    return np.asarray((modes * phases[:, None]).reshape(probe.shape), np.complex64)


class ModeOrder(Estimator):
    """Makes the modes of the result orthogonal, the strongest first."""

    def at_end(self, solver: Solver) -> None:
        """Replace the modes by others that give the same frames."""
        ops, now = solver.problem.ops, solver.state.now
        # A variation belongs to the first mode as it is.
        if now.variation is None and len(now.probe) > 1:
            modes = ops.array(orthogonal_modes(ops.numpy(now.probe)))
            ordered = solver.state.now._replace(probe=modes)
            solver.state = State(ordered, ordered)


def _polynomials(mode: npt.NDArray[np.complex128]) -> list[npt.NDArray[np.float64]]:
    """Return x, y, xy, x^2, y^2 about the centre of a mode, in units of its width, (N, N) each."""
    size = len(mode)
    intensity = np.abs(mode) ** 2
    intensity /= max(float(intensity.sum()), 1e-30)
    axis = np.arange(size, dtype=np.float64) - size // 2
    scaled = []
    for light in (intensity.sum(axis=1), intensity.sum(axis=0)):
        centre = float(light @ axis)
        width = np.sqrt(max(float(light @ (axis - centre) ** 2), 1e-30))
        scaled.append((axis - centre) / width)
    y, x = scaled[0][:, None] * np.ones(size), np.ones((size, 1)) * scaled[1]
    return [x, y, x * y, x**2, y**2]


@dataclass(eq=False)
class ModeSelection(Estimator):
    """Drops the modes that were added and that the frames do not need.

    Attributes:
        given: modes of the user's probe, which are kept.
        few_frames: whether modes that grow slowly are decided on by a second look.
        growth: float64 (modes,), of the share of each mode's power between two passes.
        kept: modes that were kept; 0 before the decision.
    """

    saved_fields: ClassVar = ('growth', 'kept', '_shares', '_first', '_largest')

    given: int = 1
    few_frames: bool = False
    growth: npt.NDArray[np.float64] | None = None
    kept: int = 0
    _shares: npt.NDArray[np.float64] | None = None
    _first: npt.NDArray[np.float64] | None = None
    _largest: npt.NDArray[np.float64] | None = None

    def after_pass(self, solver: Solver) -> None:
        """Drop the modes that do not grow between two passes, and later those that fade."""
        if solver.passes != FIRST_LOOK and solver.passes < LAST_LOOK:
            return
        shares = self._shares_of(solver)
        before, self._shares = self._shares, shares
        if before is None:
            return
        if solver.passes == LAST_LOOK:
            self.growth = shares / np.maximum(before, 1e-30)
            needed = self.growth > (UNDECIDED_GROWTH if self.few_frames else LEAST_GROWTH)
            self._first, self._largest = before, np.maximum(before, shares)
        else:
            assert self._largest is not None
            self._largest = np.maximum(self._largest, shares)
            needed = (shares > FADED * self._largest) | (shares > FADING * before)
            if solver.passes == SECOND_LOOK and self._first is not None:
                needed &= self._largest > LEAST_GROWTH * self._first
        needed |= np.arange(len(shares)) < self.given
        self.kept = int(np.count_nonzero(needed))
        if not needed.all():
            self._keep(solver, np.flatnonzero(needed))

    def _shares_of(self, solver: Solver) -> npt.NDArray[np.float64]:
        """Return the share of each mode in the power of the probe."""
        probe = solver.problem.ops.numpy(solver.probe)
        power = np.sum(np.abs(probe) ** 2, axis=(1, 2), dtype=np.float64)
        return np.asarray(power / power.sum())

    def _keep(self, solver: Solver, kept: npt.NDArray[np.intp]) -> None:
        """Go on with some of the modes."""
        assert self._shares is not None
        assert self._largest is not None
        self._shares, self._largest = self._shares[kept], self._largest[kept]
        self._first = None if self._first is None else self._first[kept]
        ops = solver.problem.ops

        def keep(unknowns: Unknowns) -> Unknowns:
            return unknowns._replace(probe=ops.array(ops.numpy(unknowns.probe)[kept]))

        solver.change_unknowns(keep)

    def remarks(self) -> tuple[str, ...]:
        """Return how many modes the frames need, where they need more than were given."""
        if self.kept <= self.given:
            return ()
        return (f'the frames need {self.kept} probe modes, the given probe has {self.given}',)
