"""Ground truth of supervised training: the patch of the true object under each frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.physics.overlap_add import cut_patches
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.data import ComplexArray

# Greatest deviation from the mean, relative to the greatest modulus: an initial guess of ones with
# a little noise stays below, a sample above.
FLAT = 1e-3


def check_ground_truth(scan: ScanData, purpose: str = 'supervised training') -> None:
    """Check that the true object under every frame of a scan is known.

    Args:
        scan: to be trained on.
        purpose: what needs it, for the message.

    Raises:
        ScanDataError: it has neither true patches nor an object guess that is not flat and covers
            every patch.
    """
    fault = '' if scan.true_patches is not None else _find_fault(scan)
    if fault:
        raise ScanDataError(
            [
                f'{purpose} needs Y (the true patch of each frame, complex (n, N, N)) or a true '
                f'objectGuess, and {fault}; give one of them, or train with model_type = pinn, '
                'which needs none'
            ],
            scan.source,
        )


def ground_truth_patches(scan: ScanData, frames: npt.NDArray[np.int64]) -> ComplexArray:
    """Return the true object under frames, complex64 (*frames.shape, N, N).

    Cut from the object guess at round(position) - N//2 where the scan has no true patches; the
    sub-pixel part of a position shifts the probe.

    Args:
        scan: one that passed `check_ground_truth`.
        frames: int64, numbers of frames, of any shape.
    """
    if scan.true_patches is not None:
        given: ComplexArray = scan.true_patches[frames]
        return given
    assert scan.object_guess is not None
    size = scan.frame_size
    corners = patch_placement(scan.positions_px, size)[0][frames]
    return cut_patches(scan.object_guess, corners, size)


def _is_flat(guess: ComplexArray) -> bool:
    """Return whether an object is one value, apart from a border of zeros.

    Ptychodus' default object is 1, with zeros around it where it was made larger.
    """
    rows, columns = (np.flatnonzero(guess.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return True
    inner = guess[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(np.abs(inner - inner.mean()).max() <= FLAT * np.abs(inner).max())


def _find_fault(scan: ScanData) -> str:
    """Return why the object guess is no ground truth, '' where it is one."""
    guess = scan.object_guess
    if guess is None:
        return 'the scan has neither'
    if _is_flat(guess):
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
