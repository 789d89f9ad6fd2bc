"""Random division of the photons of frames into two independent parts (thinning).

Of Poisson counts, those kept and those held out are independent Poisson counts, of `share` and
`1 - share` times the mean (Batson and Royer, Noise2Self, ICML 2019,
doi:10.48550/arXiv.1901.11365).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def split_photons(
    counts: FloatArray, share: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return the photons that are kept and those that are held out; they add up to the counts.

    Args:
        counts: float32 of any shape, photons; what is negative or not finite, which a mask must
            cover, becomes 0 in both parts.
        share: chance of each photon to be kept, 0 to 1.
        rng: random numbers.

    Returns:
        Two float32 arrays of the shape of the counts; whole numbers where the counts are.
    """
    known = np.where(np.isfinite(counts) & (counts > 0), counts, np.float32(0))
    whole = whole_photons(known, rng)
    kept = known * np.float32(share)
    some = whole > 0
    photons = whole[some]
    drawn = rng.binomial(photons, share)
    # A product with a fraction would leave whole numbers off by rounding.
    exact = known[some] == photons
    kept[some] = np.where(exact, drawn, known[some] * (drawn / photons))
    return kept, known - kept


def whole_photons(counts: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return counts as whole photons, int64; those that are none are rounded by chance.

    Rounded to the nearest, faint frames that are not whole numbers would lose all their light.

    Args:
        counts: float32 of any shape, finite and not negative.
        rng: random numbers, drawn only where counts are not whole.
    """
    whole = np.floor(counts)
    if not np.array_equal(whole, counts):
        whole = np.floor(counts + rng.random(counts.shape))
    return whole.astype(np.int64)
