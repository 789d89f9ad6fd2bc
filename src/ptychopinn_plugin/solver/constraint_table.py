"""The table of constraints and regularisers: which settings ask for one, and what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.constraints import (
    AmplitudeLimits,
    ObjectConstraint,
    PhaseLimits,
    ProbeConstraint,
    ProbeFourierSupport,
    ProbeSupport,
)
from ptychopinn_plugin.physics.regularizers import Regularizer, Smoothness, TotalVariation
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.gauges import ProbeCenter, ProbePower
from ptychopinn_plugin.solver.estimators.grid_removal import GridRemoval

Slot: TypeAlias = Literal['probe', 'object_', 'regularizers', 'probe_gauges', 'filters']


class ConstraintRow(NamedTuple):
    """A constraint.

    Attributes:
        slot: the attribute of `Constraints` that it goes to.
        settings: the fields that ask for it, all 0 or False where it is off; their values are the
            arguments of `make`.
        make: makes it.
    """

    slot: Slot
    settings: tuple[str, ...]
    make: Callable[..., Any]


CONSTRAINTS = (
    ConstraintRow('probe', ('probe_support',), ProbeSupport),
    ConstraintRow('probe', ('probe_fourier_support',), ProbeFourierSupport),
    ConstraintRow('probe_gauges', ('probe_power',), ProbePower),
    ConstraintRow('probe_gauges', ('center_probe',), lambda _: ProbeCenter()),
    ConstraintRow('object_', ('object_amplitude_min', 'object_amplitude_max'), AmplitudeLimits),
    ConstraintRow('object_', ('object_phase_min', 'object_phase_max'), PhaseLimits),
    ConstraintRow('regularizers', ('object_smoothness',), Smoothness),
    ConstraintRow('regularizers', ('total_variation',), TotalVariation),
    ConstraintRow('filters', ('remove_grid_artifacts',), lambda _: GridRemoval()),
)


@dataclass(eq=False)
class Constraints:
    """What a config asks for.

    Attributes:
        probe: applied after each update of the probe, in this order.
        object_: applied after each update of the object, in this order.
        regularizers: of the object, added to the misfit.
        probe_gauges: what object and probe can trade, fixed after each pass where the probe is
            refined.
        filters: of the object, applied after each pass.
    """

    probe: list[ProbeConstraint] = field(default_factory=list)
    object_: list[ObjectConstraint] = field(default_factory=list)
    regularizers: list[Regularizer] = field(default_factory=list)
    probe_gauges: list[Estimator] = field(default_factory=list)
    filters: list[Estimator] = field(default_factory=list)

    @classmethod
    def of(cls, inference: InferenceConfig) -> Constraints:
        """Return the constraints of a config."""
        found = cls()
        for row in CONSTRAINTS:
            values = [getattr(inference, name) for name in row.settings]
            if any(values):
                getattr(found, row.slot).append(row.make(*values))
        return found
