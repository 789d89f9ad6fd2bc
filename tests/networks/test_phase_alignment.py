"""Laws of the constant phases that align patches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.networks.cnn.phase_alignment import align_phases
from tests.helpers import make_object, make_positions, make_probe

SIZE = 32
Complex = npt.NDArray[np.complex64]
PROBE = make_probe(SIZE, modes=2)


def cut_patches(side: int, step_px: float = 4.0) -> tuple[Complex, npt.NDArray[np.float64]]:
    positions = make_positions(side, step_px, SIZE)
    shape = np.ceil(positions.max(axis=0)).astype(int) + SIZE
    ground_truth = make_object((int(shape[0]), int(shape[1])))
    corners = np.rint(positions).astype(int) - SIZE // 2
    windows = np.lib.stride_tricks.sliding_window_view(ground_truth, (SIZE, SIZE))
    return windows[corners[:, 0], corners[:, 1]], positions


def test_patches_of_one_object_are_not_rotated() -> None:
    patches, positions = cut_patches(7)
    assert np.allclose(align_phases([patches[:5], patches[5:]], positions, PROBE), 1, atol=1e-3)


@pytest.mark.parametrize('spread', [0.3, 2.0])
def test_random_phases_are_removed(spread: float) -> None:
    patches, positions = cut_patches(7)
    angles = np.random.default_rng(0).normal(0, spread, len(patches))
    rotated = (patches * np.exp(1j * angles)[:, None, None]).astype(np.complex64)
    factors = align_phases([rotated], positions, PROBE)
    assert np.angle(factors.sum()) == pytest.approx(0, abs=1e-3)
    left = factors * np.exp(1j * angles)
    assert np.allclose(np.abs(left), 1, atol=1e-5)
    # What is left is spread over the whole scan: neighbours agree.
    assert np.abs(left / left[0] - 1).max() < 0.05
    assert np.abs(left[1:] / left[:-1] - 1).max() < 0.05


def test_the_common_phase_is_kept() -> None:
    patches, positions = cut_patches(5)
    factors = align_phases([(1j * patches).astype(np.complex64)], positions, PROBE)
    assert np.allclose(factors, 1, atol=1e-3)


def test_patches_that_meet_no_other_stay_as_they_are() -> None:
    patches, positions = cut_patches(2, step_px=100.0)
    rotated = (patches * np.exp(1j * np.arange(4))[:, None, None]).astype(np.complex64)
    assert np.allclose(align_phases([rotated], positions, PROBE), 1)
    assert np.array_equal(align_phases([rotated[:1]], positions[:1], PROBE), [1])


def test_dark_patches_do_no_harm() -> None:
    patches, positions = cut_patches(3)
    factors = align_phases([np.zeros_like(patches)], positions, np.zeros_like(PROBE))
    assert np.array_equal(factors, np.ones(9, np.complex64))
