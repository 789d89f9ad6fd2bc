"""How many frames share the light of a pixel."""

from __future__ import annotations

import itertools

import numpy as np

from ptychopinn_plugin.physics.overlap_add import add_patches
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.scan.nearest_frames import middle_frames

# Frames around the middle that stand for all.
MOST_FRAMES = 121
# Below it frames overlap little: with a probe of 26 px diameter, steps of 12 px and more. At 9 px
# (2.9) passes from an empty object come close to what the photons allow.
SPARSE = 2.5
TINY = 1e-30


def frame_overlap(scan: ScanData) -> float:
    """Return how many frames light a pixel, as the photons of a frame find it on average.

    Of the dose D, summed over frames, and the dose d of one of them, both in object pixels, it is
    (sum D^2 / sum D) / (sum d^2 / sum d): 1 where no frames overlap, and n where n frames lie at
    one place.

    Args:
        scan: with its probe; sub-pixel parts of the positions are left out.
    """
    few = middle_frames(scan, MOST_FRAMES, square=True)
    light = np.asarray(np.sum(np.abs(few.probe) ** 2, axis=0), np.float64)
    canvas = Canvas.for_scan(few)
    corners, _ = patch_placement(few.positions_px, few.frame_size)
    corners -= np.asarray(canvas.origin_px)
    dose = add_patches(np.zeros(canvas.shape), itertools.repeat(light, len(corners)), corners)
    alone = float(np.sum(light**2))
    together = float(np.sum(dose**2)) / few.frame_count
    return together / max(alone, TINY)


def overlaps_little(scan: ScanData) -> bool:
    """Return whether frames overlap little, so that the object hardly follows from an empty one."""
    return frame_overlap(scan) < SPARSE
