"""Detector pixels that were probably saturated: many values of the frames are the highest one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.scan.data import BoolArray, ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks

# Values of all frames that are equal to the highest one, and how high that is: photon noise gives a
# few at most.
LEAST_VALUES, LEAST_COUNT = 20, 100


@dataclass(frozen=True, eq=False)
class Saturation:
    """Values that a detector cut off.

    Attributes:
        count: the highest count.
        values: how many values of all frames are equal to it.
        pixels: bool (N, N), True where a frame has one of them.
    """

    count: float
    values: int
    pixels: BoolArray

    @classmethod
    def of(cls, scan: ScanData) -> Saturation | None:
        """Return the saturation of a scan's frames outside the mask, None where there is none."""
        good = ~scan.mask
        highest, values = -1.0, 0
        pixels = np.zeros_like(good)
        for _, frames in frame_chunks(scan.counts):
            clean = np.where(good, frames, 0)
            most = float(clean.max())
            if most > highest:
                highest, values, pixels = most, 0, np.zeros_like(good)
            if most == highest:
                at_most = clean == highest
                values += int(np.count_nonzero(at_most))
                pixels |= at_most.any(axis=0)
        if values < LEAST_VALUES or highest <= LEAST_COUNT:
            return None
        return cls(highest, values, pixels & good)

    def sentence(self) -> str:
        """Return what was found, and what to do."""
        return (
            f'{self.values} values of the frames, at {int(self.pixels.sum())} pixels, are the '
            f'highest count, {self.count:.0f}: if the detector was saturated, record frames with '
            'less light, or mask these pixels with load_scan(mask=...)'
        )
