"""Noise models: how far expected counts are from measured ones, and which way they should move.

Every function sums over good pixels. `good` is float32 (N, N), 1 where a detector pixel is used and
0 where it is bad, or None where all are good; zero frequency at index 0, as in the forward model.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from ptychopinn_plugin.physics.ops import Array, Ops

# Keeps the logarithm finite where no photon is expected.
COUNT_FLOOR = 1e-6
# Share of a frame's photons below which the phase of a pixel may be rounding error, another one in
# each framework. Without it, photons measured where the model expects none would follow that phase.
DARK_SHARE = 1e-10
# Counts. Bounds the step where one photon meets none that was expected. It costs some efficiency
# but no bias, since counts - expected has mean zero over any divisor; below it momentum restarts
# more and more often.
DIVISOR_FLOOR = 0.02
# Keeps the division finite for a frame that expects no photon at all.
TINY = 1e-30


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


class NoiseModel(Protocol):
    """What the solver needs to know of the noise.

    Attributes:
        name: as settings and results call it.
        residual_name: the residual, misfit over photons, as a formula for plots (mathtext).
        misfit_per_parameter: how much of the misfit fitting noise with one real number takes away
            on average.
    """

    name: ClassVar[str]
    residual_name: ClassVar[str]
    misfit_per_parameter: ClassVar[float]

    def misfit(self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None) -> Array:
        """Return the misfit, a scalar, 0 for a perfect fit.

        Args:
            ops: the framework.
            expected: expected counts (n, N, N).
            amplitudes: sqrt(counts), (n, N, N).
            good: (N, N) or None.
        """
        ...

    def misfit_and_factor(
        self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None
    ) -> tuple[Array, Array]:
        """Return the misfit, and the factor of the waves at the detector that gives their change.

        A full step: minus the gradient of the misfit over its curvature along the modulus. Misfit
        and factor share most of their arithmetic.

        Args:
            ops: the framework.
            expected: expected counts of the waves (n, N, N).
            amplitudes: sqrt(counts), (n, N, N).
            good: (N, N) or None; at bad pixels the waves stay as they are.

        Returns:
            A scalar and (n, N, N).
        """
        ...


class AmplitudeNoise:
    """Gaussian noise of the square root of the counts, of variance 1/4 at any dose.

    The step replaces the modulus of the waves by the measured one (Fienup, Appl. Opt. 21, 2758,
    1982, doi:10.1364/AO.21.002758).
    """

    name: ClassVar[str] = 'amplitude'
    residual_name: ClassVar[str] = r'$\sum(|\Psi|-\sqrt{I})^2 / \sum I$'
    # The variance of the square root of a Poisson count.
    misfit_per_parameter: ClassVar[float] = 0.25

    def misfit(self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None) -> Array:
        """Return sum (sqrt(expected) - sqrt(counts))^2."""
        return amplitude_deviance(ops, expected, amplitudes, good)

    def misfit_and_factor(
        self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None
    ) -> tuple[Array, Array]:
        """Return the factor sqrt(counts / expected) - 1, held off pixels that expect no photons."""
        modulus = ops.sqrt(expected)
        difference = amplitudes - modulus
        if good is not None:
            difference = difference * good
        floor = DARK_SHARE * ops.sum(expected, (1, 2))[:, None, None] + TINY
        misfit = ops.inner(difference, difference)
        # In place where the framework can: these arrays are what a pass moves through memory.
        difference *= modulus
        difference /= expected + floor
        return misfit, difference


class PoissonNoise:
    """Poisson noise of the counts.

    Unlike the square root, whose mean is below the root of the mean where pixels hold few counts,
    it has no bias at any dose (Thibault and Guizar-Sicairos, New J. Phys. 14, 063004, 2012,
    doi:10.1088/1367-2630/14/6/063004).
    """

    name: ClassVar[str] = 'poisson'
    residual_name: ClassVar[str] = r'$\sum(E - I + I\,\log(I/E)) / 2\sum I$'
    misfit_per_parameter: ClassVar[float] = 0.25

    def misfit(self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None) -> Array:
        """Return a quarter of the Poisson deviance, 1/4 a pixel at many counts."""
        return 0.5 * poisson_deviance(ops, expected, amplitudes * amplitudes, good)

    def misfit_and_factor(
        self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None
    ) -> tuple[Array, Array]:
        """Return the factor (counts - expected) / 2 expected, the divisor held off zero.

        Half the score: along the modulus, the curvature of the misfit is twice that of amplitudes.
        """
        counts = amplitudes * amplitudes
        difference = counts - expected
        divisor = expected + COUNT_FLOOR
        # In place where the framework can: these arrays are what a pass moves through memory.
        counts += COUNT_FLOOR
        deviance = ops.log(counts / divisor)
        deviance *= counts
        deviance -= difference
        if good is not None:
            deviance *= good
            difference *= good
        misfit = 0.5 * ops.sum(deviance)
        divisor += DIVISOR_FLOOR - COUNT_FLOOR
        divisor *= 2
        difference /= divisor
        return misfit, difference


AMPLITUDE = AmplitudeNoise()
POISSON = PoissonNoise()
NOISE_MODELS: dict[str, NoiseModel] = {model.name: model for model in (AMPLITUDE, POISSON)}
