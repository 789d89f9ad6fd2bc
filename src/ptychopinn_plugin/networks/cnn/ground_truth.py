"""Known objects to train on: the true patch under each frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.data import ComplexArray

# A starting object may carry a little noise; a sample differs from its mean by more than this.
FLAT = 1e-3


def check_ground_truth(scan: ScanData, what: str = 'supervised training') -> None:
    """Check that the true object under every frame of a scan is known.

    Args:
        scan: to be trained on.
        what: needs it, for the message.

    Raises:
        ScanDataError: it has neither true patches nor an object guess that shows something and
            covers every patch.
    """
    fault = '' if scan.true_patches is not None else _fault(scan)
    if fault:
        raise ScanDataError(
            [
                f'{what} needs Y (the true patch of each frame, complex (n, N, N)) or a true '
                f"objectGuess, and {fault}; give one of them, or train with model_type 'pinn', "
                'which needs none'
            ],
            scan.source,
        )


def ground_truth_patches(scan: ScanData, frames: npt.NDArray[np.int64]) -> ComplexArray:
    """Return the true object under frames, complex64 (*frames.shape, N, N).

    Cut from the object guess at round(position) - N//2 where the scan has no true patches; what
    remains of a position belongs to the probe.

    Args:
        scan: one that passed `check_ground_truth`.
        frames: int64, numbers of frames, of any shape.
    """
    if scan.true_patches is not None:
        given: ComplexArray = scan.true_patches[frames]
        return given
    assert scan.object_guess is not None
    size = scan.frame_size
    windows = np.lib.stride_tricks.sliding_window_view(scan.object_guess, (size, size))
    corners = patch_placement(scan.positions_px, size)[0][frames]
    cut: ComplexArray = windows[corners[..., 0], corners[..., 1]]
    return cut


def _fault(scan: ScanData) -> str:
    """Say why the object guess is no known object, '' where it is one."""
    guess = scan.object_guess
    if guess is None:
        return 'the scan has neither'
    if np.abs(guess - guess.mean()).max() <= FLAT * np.abs(guess).max():
        return 'the scan has no Y and its objectGuess is flat'
    first, _ = patch_placement(scan.positions_px, scan.frame_size)
    last = first + scan.frame_size
    outside = np.flatnonzero((first < 0).any(axis=1) | (last > guess.shape).any(axis=1))
    if not outside.size:
        return ''
    needed = f'{first[outside[0]].tolist()} to {last[outside[0]].tolist()}'
    return (
        f'its objectGuess {guess.shape} does not reach under {outside.size} of '
        f'{scan.frame_count} frames (frame {outside[0]} needs pixels {needed})'
    )
