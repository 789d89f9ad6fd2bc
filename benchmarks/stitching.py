"""Patches a second that one core stitches.

usage: stitching.py [--patches N] [--frame-size N] [--modes N] [--repeats N]

CPU seconds, so that other work on the machine does not matter; the best of some repeats counts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ptychopinn_plugin.physics.overlap_add import Stitcher
from ptychopinn_plugin.scan import Canvas


def main() -> None:
    """Print the CPU seconds of adding patches and of the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--patches', type=int, default=10_000)
    parser.add_argument('--frame-size', type=int, default=64)
    parser.add_argument('--modes', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=3)
    arguments = parser.parse_args()
    size, count = arguments.frame_size, arguments.patches
    rng = np.random.default_rng(0)
    side = 4 * int(np.ceil(np.sqrt(count)))  # pixels that the corners lie on, 4 a step
    positions_px = rng.uniform(0, side, (count, 2)) + size
    canvas = Canvas((0, 0), (side + 2 * size, side + 2 * size))
    probe, patches = (
        (rng.normal(size=(n, size, size)) + 1j * rng.normal(size=(n, size, size))).astype('c8')
        for n in (arguments.modes, count)
    )
    adding, finishing = [], []
    for _ in range(arguments.repeats):
        stitcher = Stitcher(probe, canvas)
        began = time.process_time()
        stitcher.add(patches, positions_px)
        added = time.process_time()
        stitcher.result()
        adding.append(added - began)
        finishing.append(time.process_time() - added)
    total = min(adding) + min(finishing)
    print(
        f'{count} patches of {size} x {size} on {canvas.shape[0]} x {canvas.shape[1]} pixels: '
        f'{min(adding):.3f} s adding, {min(finishing):.3f} s result (CPU), '
        f'{count / total:.0f} patches/s'
    )


if __name__ == '__main__':
    main()
