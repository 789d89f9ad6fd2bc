"""Errors that photon noise gives amplitudes, the square roots of Poisson counts."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

# Variance of the squared error of the root of a Poisson count: 2 (1/4)^2.
SQUARE_VARIANCE = 1 / 8
# Expected counts above which the error of the root is that of many counts, 1/4.
MANY_COUNTS = 60.0
# Intervals of the table of that error, evenly spaced in the root of the expected count: between two
# of its points it is straight to 1e-5.
INTERVALS = 2048
TINY = 1e-30

Floats = npt.NDArray[np.float64]


def root_error(mean: npt.NDArray[np.floating]) -> Floats:
    """Return E (sqrt(count) - sqrt(mean))^2 of Poisson counts, of any shape.

    By interpolation, to 1e-5: 2 mean near 0, up to 0.42 near 0.7, towards 1/4.
    """
    errors, slopes = _root_errors()
    # An even table needs no search: `numpy.interp` takes three times as long. What is not a number,
    # of a reconstruction that diverged, has a place in no table.
    place = np.sqrt(np.fmin(mean, MANY_COUNTS)) * (INTERVALS / math.sqrt(MANY_COUNTS))
    before = place.astype(np.int32)
    place -= before
    return np.asarray(errors[before] + slopes[before] * place, np.float64)


@functools.cache
def _root_errors() -> tuple[Floats, Floats]:
    """Return the error of the root at each point of the table, and what is added to the next.

    float64 (INTERVALS + 1,) each; nothing is added after the last point.
    """
    points = np.linspace(0, math.sqrt(MANY_COUNTS), INTERVALS + 1)
    count = np.arange(200)
    factorials = np.array([math.lgamma(n + 1) for n in count])
    means = points**2
    logs = count * np.log(np.maximum(means, TINY))[:, None] - factorials - means[:, None]
    errors = np.sum(np.exp(logs) * (np.sqrt(count) - points[:, None]) ** 2, axis=1)
    return errors, np.append(np.diff(errors), 0)
