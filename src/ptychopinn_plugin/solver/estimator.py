"""What is estimated beside object and probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptychopinn_plugin.solver.accelerated import AcceleratedSolver


class Estimator:
    """Changes the solver's problem or state between passes and at the end; by default nothing."""

    def after_pass(self, solver: AcceleratedSolver) -> None:
        """Update the estimate after a pass."""

    def at_end(self, solver: AcceleratedSolver) -> None:
        """Change the state that was chosen as the result; may be called more than once."""

    def remarks(self) -> tuple[str, ...]:
        """Return what was found, a sentence each, in lower case and without a full stop."""
        return ()
