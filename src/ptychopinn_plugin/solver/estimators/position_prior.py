"""How far each frame is off, given how far all are: an empirical Bayes estimate.

The errors of the positions have a common width, which all frames give together (Efron and Morris,
J. Am. Stat. Assoc. 68, 117, 1973, doi:10.1080/01621459.1973.10481350); each frame's own estimate
is shrunk by what its noise and that width say. Where no error stands out of the noise, the width is
0 and no frame moves. A Student prior lets a few frames be far off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Degrees of freedom of the Student prior.
FREEDOM = 4.0
# Widths that are tried, and alternations between the width and the weights of the frames; after
# the first one, widths up to so many places from the last best one are tried first.
WIDTHS, ALTERNATIONS, NEAR = 60, 5, 6
TINY = 1e-30

Floats = npt.NDArray[np.float64]


def posterior_errors(
    estimates: Floats, information: Floats, noise: float, least: float = 0.0
) -> tuple[Floats, float]:
    """Return the errors of the positions and the width of their prior.

    Args:
        estimates: float64 (n, 2), of each frame alone, object pixels.
        information: float64 (n, 2, 2), sums of products of columns.
        noise: variance of a residual; an estimate has the covariance noise / information.
        least: width that the prior has at least, object pixels.

    Returns:
        float64 (n, 2), posterior mean; standard deviation over both axes together, object pixels.
    """
    values, axes = np.linalg.eigh(information)
    along = np.einsum('nji,nj->ni', axes, estimates)
    variances = noise / np.maximum(values, TINY)
    width, weights = _prior(along, variances)
    width = max(width, least**2 / 2)
    shrink = width / (width + variances * weights[:, None]) if width else np.zeros_like(along)
    return np.einsum('nij,nj->ni', axes, shrink * along), float(np.sqrt(2 * width))


def without_affine(estimates: Floats, information: Floats, positions: Floats) -> Floats:
    """Return estimates less the shift and affine change that fit all of them best.

    Args:
        estimates: float64 (n, 2).
        information: float64 (n, 2, 2); its trace weighs a frame.
        positions: float64 (n, 2), about their centre.
    """
    terms = np.column_stack([np.ones(len(positions)), positions])
    weighted = terms * np.trace(information, axis1=1, axis2=2)[:, None]
    found = np.linalg.lstsq(terms.T @ weighted, weighted.T @ estimates, rcond=None)[0]
    return np.asarray(estimates - terms @ found)


def _prior(estimates: Floats, variances: Floats) -> tuple[float, Floats]:
    """Return the most likely variance of the errors along one axis, and each frame's weight.

    An estimate is drawn from N(0, width / weight + variance); the weights, at most 1, are those of
    a Student prior as a mixture of normal ones.

    Args:
        estimates: float64 (n, 2), along the axes of each frame's information.
        variances: float64 (n, 2).
    """
    largest = max(4 * float(np.mean(estimates**2)), 1e-7)
    widths = np.concatenate([[0.0], np.geomspace(1e-8, largest, WIDTHS)])
    weights, place = np.ones(len(estimates)), None
    for _ in range(ALTERNATIONS):
        place = _most_likely(widths, weights, estimates, variances, place)
        best = float(widths[place])
        distance = np.sum(estimates**2 / (best + variances), axis=1)
        weights = np.minimum(1.0, (FREEDOM + 2) / (FREEDOM + distance))
    return best, weights


def _most_likely(
    widths: Floats, weights: Floats, estimates: Floats, variances: Floats, last: int | None
) -> int:
    """Return the place of the most likely width, looked for near the last one first.

    Where the most likely of those is the outermost, all are tried.
    """
    first, end = 0, len(widths)
    if last is not None:
        first, end = max(0, last - NEAR), min(end, last + NEAR + 1)
    total = widths[first:end, None, None] / weights[:, None] + variances
    loss = np.sum(np.log(total) + estimates**2 / total, axis=(1, 2))
    place = first + int(np.argmin(loss))
    outermost = {first} - {0} | {end - 1} - {len(widths) - 1}
    if place in outermost:
        return _most_likely(widths, weights, estimates, variances, None)
    return place
