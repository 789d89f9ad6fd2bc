"""Whether passes diverged: to a dark or flat object, or a probe at the edges of its frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.photon_noise import Floats
from ptychopinn_plugin.solver.misfits import Misfits

if TYPE_CHECKING:
    from ptychopinn_plugin.solver.accelerated import AcceleratedSolver

# Variance of the object over its mean square, relative to what the frames differ by relative to
# their photons: a thin object has a ratio of about one.
FLAT_RATIO = 0.05
# An object that is dark (below a tenth of its rms modulus) in nearly all of the illuminated area.
DARK_MODULUS, DARK_SHARE = 0.1, 0.9
# Share of the probe's power in the outermost sixteenths of its frame, and its growth since the
# start: power spread evenly has 0.23 there.
EDGE, EDGE_SHARE, EDGE_GROWTH = 1 / 16, 0.1, 2.0
TINY = 1e-30


def is_collapsed(solver: AcceleratedSolver, misfits: Misfits) -> bool:
    """Return whether the object is dark nearly everywhere, or flat where the frames differ."""
    ops, problem = solver.problem.ops, solver.problem
    image = problem.partition.whole(solver.canvas_object)
    dose = problem.partition.whole(problem.dose(solver.probe))
    return problem.partition.on_first(
        lambda: _is_dark_or_flat(
            ops.numpy(image).astype(np.complex128), ops.numpy(dose).astype(np.float64), misfits
        )
    )


def _is_dark_or_flat(image: npt.NDArray[np.complex128], dose: Floats, misfits: Misfits) -> bool:
    """Return `is_collapsed` of an object and its dose, both (H, W)."""
    weight = dose / max(float(dose.sum()), TINY)
    square = float(np.sum(weight * np.abs(image) ** 2))
    dark = float(np.sum(weight[np.abs(image) < DARK_MODULUS * math.sqrt(square)]))
    contrast = 1 - abs(complex(np.sum(weight * image))) ** 2 / max(square, TINY)
    differing = (misfits.empty - misfits.noise) / max(misfits.photons, TINY)
    return dark > DARK_SHARE or contrast < FLAT_RATIO * differing


def has_runaway_probe(solver: AcceleratedSolver) -> bool:
    """Return whether the probe's power went to the edges of its frame since the start."""
    problem = solver.problem
    start = edge_share(problem.scan.probe)
    now = edge_share(problem.ops.numpy(solver.probe))
    return now > max(EDGE_SHARE, EDGE_GROWTH * start)


def edge_share(probe: npt.NDArray[np.complex64]) -> float:
    """Return the share of a probe's power in the outermost pixels of its frame.

    Args:
        probe: complex64 (modes, N, N).
    """
    power = np.asarray(np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float64))
    width = max(1, round(EDGE * len(power)))
    inner = float(power[width:-width, width:-width].sum())
    return 1 - inner / max(float(power.sum()), TINY)
