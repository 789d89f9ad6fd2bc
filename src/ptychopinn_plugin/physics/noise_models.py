"""How well expected photons explain the measured ones; all are least where they agree.

Every function sums over good pixels. `good` is float32 (N, N), 1 where a detector pixel counts and
0 where it is bad, or None where all are good; zero frequency at index 0, as in the forward model.
"""

from __future__ import annotations

from ptychopinn_plugin.physics.ops import Array, Ops

# Keeps the logarithm finite where no photon is expected.
COUNT_FLOOR = 1e-6


def amplitude_deviance(ops: Ops, expected: Array, amplitudes: Array, good: Array | None) -> Array:
    """Return sum (sqrt(expected) - sqrt(counts))^2.

    The Gaussian likelihood of the square root, whose variance is 1/4 at any dose (Anscombe,
    Biometrika 35, 246, 1948, doi:10.1093/biomet/35.3-4.246).

    Args:
        ops: the framework.
        expected: expected counts (n, N, N).
        amplitudes: sqrt(counts), (n, N, N).
        good: (N, N) or None.
    """
    difference = ops.sqrt(expected) - amplitudes
    squares = difference * difference
    return ops.sum(squares if good is None else squares * good)


def poisson_deviance(ops: Ops, expected: Array, counts: Array, good: Array | None) -> Array:
    """Return the Poisson negative log-likelihood above that of a perfect fit, never negative.

    sum expected - counts + counts log(counts / expected), with 0 log 0 = 0.

    Args:
        ops: the framework.
        expected: expected counts (n, N, N).
        counts: measured counts (n, N, N).
        good: (N, N) or None.
    """
    ratio = (counts + COUNT_FLOOR) / (expected + COUNT_FLOOR)
    deviance = expected - counts + (counts + COUNT_FLOOR) * ops.log(ratio)
    return ops.sum(deviance if good is None else deviance * good)
