"""What is estimated beside object and probe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.saved_state import Stateful
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import State, Unknowns


class Solver(Protocol):
    """What an estimator sees of `AcceleratedSolver`, which imports the estimators.

    Attributes:
        problem: the prepared scan.
        state: the unknowns.
        passes: passes done.
        passes_before: passes of the reconstructions that this one continues.
    """

    problem: Problem
    state: State
    passes: int
    passes_before: int

    @property
    def canvas_object(self) -> Array:
        """The object, complex64 (H, W)."""

    @property
    def probe(self) -> Array:
        """The probe, complex64 (modes, N, N)."""

    @property
    def last_misfit(self) -> float:
        """The misfit of the last pass, each subset before its update."""

    def direction(self) -> tuple[Array, Array]:
        """Return the preconditioned gradient image of the last pass and its dose, both (H, W)."""

    def transform(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Apply a linear map to the unknowns and to those before, so that momentum follows it."""

    def change_unknowns(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Continue with other unknowns, more or fewer; forget the best state, which lacks them."""

    def move_object(self, function: Callable[[Array], Array]) -> None:
        """Apply a linear map to the object, now, before and where the solver may return to."""

    def move_frames(self, positions_px: npt.NDArray[np.float64]) -> None:
        """Let the frames lie at other positions, float64 (n, 2), object pixels."""

    def use_noise(self, noise: NoiseModel) -> None:
        """Go on with another noise model: misfits so far are of another kind."""

    def measure(self) -> None:
        """Measure the misfit of the present state, for a fifth to a third of a pass's work."""

    def transform_if_free(self, function: Callable[[Unknowns], Unknowns]) -> bool:
        """Apply a linear map to the result if the frames leave it open; return whether they do."""


class Estimator(Stateful):
    """Changes the solver's problem or state between passes and at the end; by default nothing.

    `saved_fields` names what it has found so far, so that a reconstruction that was interrupted
    goes on with it.
    """

    def after_pass(self, solver: Solver) -> None:
        """Update the estimate after a pass."""

    def at_end(self, solver: Solver) -> None:
        """Change the state that was chosen as the result; may be called more than once."""

    def remarks(self) -> tuple[str, ...]:
        """Return what was found, a sentence each, in lower case and without a full stop."""
        return ()
