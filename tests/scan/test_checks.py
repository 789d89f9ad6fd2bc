"""Each fault of a scan has its own plain message."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import ScanData, ScanMetadata, checks, frame_chunks
from tests.helpers import make_scan


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=3, step_px=3.0)


def faults_of(scan: ScanData, **changes: Any) -> tuple[str, ...]:
    with pytest.raises(ScanDataError) as caught:
        dataclasses.replace(scan, **changes)
    return caught.value.faults


def changed(array: np.ndarray, place: tuple[int, ...], value: complex) -> np.ndarray:
    copy = array.copy()
    copy[place] = value
    return copy


def test_a_sound_scan_has_no_fault(scan: ScanData) -> None:
    assert checks.scan_faults(scan) == []


@pytest.mark.parametrize(
    ('value', 'kind'), [(np.nan, 'NaN'), (np.inf, 'infinite'), (-3.0, 'negative')]
)
def test_bad_counts_name_frame_and_pixel(scan: ScanData, value: float, kind: str) -> None:
    (fault,) = faults_of(scan, counts=changed(scan.counts, (4, 7, 11), value))
    assert fault.startswith(f'counts[4, 7, 11] is {kind} ({value})')
    assert 'frame 4, pixel row 7, column 11' in fault


def test_each_kind_of_bad_count_is_reported_with_its_number(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[2, 3, 4:7] = np.nan
    counts[5, 0, 0] = -1
    first, second = faults_of(scan, counts=counts)
    assert 'counts[2, 3, 4] is NaN' in first
    assert '3 such values in all' in first
    assert 'counts[5, 0, 0] is negative' in second


def test_bad_counts_of_every_block_are_counted(
    scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_chunks, 'CHUNK_BYTES', 1)
    counts = scan.counts.copy()
    counts[[1, 8], 3, 4] = np.nan
    (fault,) = faults_of(scan, counts=counts)
    assert 'counts[1, 3, 4]' in fault
    assert '2 such values' in fault


@pytest.mark.parametrize('value', [np.nan, np.inf, -1.0])
def test_anything_may_stand_under_the_mask(scan: ScanData, value: float) -> None:
    mask = changed(scan.mask, (7, 11), True)
    counts = changed(scan.counts, (4, 7, 11), value)
    assert dataclasses.replace(scan, counts=counts, mask=mask).frame_count == 9


def test_counts_that_are_zero_everywhere_are_a_fault(scan: ScanData) -> None:
    (fault,) = faults_of(scan, counts=np.zeros_like(scan.counts))
    assert fault == 'counts are zero in every frame outside the mask'


def test_counts_only_under_the_mask_are_no_counts(scan: ScanData) -> None:
    mask = changed(scan.mask, (7, 11), True)
    counts = changed(np.zeros_like(scan.counts), (4, 7, 11), 5)
    assert 'zero in every frame' in faults_of(scan, counts=counts, mask=mask)[0]


@pytest.mark.parametrize(
    ('name', 'dtype'),
    [
        ('counts', np.float64),
        ('positions_px', np.float32),
        ('probe', np.complex128),
        ('mask', np.uint8),
        ('object_guess', np.complex128),
    ],
)
def test_another_dtype_is_a_fault(scan: ScanData, name: str, dtype: type) -> None:
    array = getattr(scan, name)
    (fault,) = faults_of(scan, **{name: array.astype(dtype)})
    assert fault == f'{name} must be {array.dtype}, got {np.dtype(dtype)}'


def test_a_position_that_is_not_finite(scan: ScanData) -> None:
    positions = changed(scan.positions_px, (3, 0), np.nan)
    positions[3, 1] = 2.0
    assert faults_of(scan, positions_px=positions) == ('positions_px[3] is not finite: [nan 2.]',)
    positions[5] = np.inf
    assert '(2 such positions)' in faults_of(scan, positions_px=positions)[0]


def test_number_of_positions(scan: ScanData) -> None:
    assert faults_of(scan, positions_px=scan.positions_px[:8]) == (
        '9 diffraction patterns need positions_px of shape (9, 2), got (8, 2)',
    )


def test_fewer_than_two_distinct_positions(scan: ScanData) -> None:
    (fault,) = faults_of(scan, positions_px=np.full((9, 2), 20.0))
    assert fault == 'a scan needs at least two distinct positions, got 1'


def test_positions_in_other_units_than_pixels(scan: ScanData) -> None:
    assert 'not in metres' in faults_of(scan, positions_px=scan.positions_px * 1e6)[0]


def test_a_stack_without_frames_is_a_fault(scan: ScanData) -> None:
    faults = faults_of(scan, counts=scan.counts[:0], positions_px=scan.positions_px[:0])
    assert faults == ('counts is empty: (0, 16, 16) holds no frame',)


def test_frames_that_are_not_square(scan: ScanData) -> None:
    faults = faults_of(scan, counts=scan.counts[:, :, :12].copy())
    assert 'frames must be square, got 16 x 12 pixels' in faults[0]


def test_frames_that_are_no_stack(scan: ScanData) -> None:
    assert 'counts must have shape (n, N, N), got (16, 16)' in faults_of(
        scan, counts=scan.counts[0]
    )


def test_probe_of_another_size(scan: ScanData) -> None:
    (fault,) = faults_of(scan, probe=scan.probe[:, :12, :12].copy())
    assert fault.startswith('probe is 12 x 12 pixels but the frames are 16 x 16')


@pytest.mark.parametrize('shape', [(16, 16), (0, 16, 16)])
def test_probe_of_another_shape(scan: ScanData, shape: tuple[int, ...]) -> None:
    (fault,) = faults_of(scan, probe=np.ones(shape, np.complex64))
    assert 'probe must have shape (modes, N, N)' in fault


def test_probe_that_is_not_finite(scan: ScanData) -> None:
    (fault,) = faults_of(scan, probe=changed(scan.probe, (0, 3, 5), complex(np.nan, 1)))
    assert fault.startswith('probe[0, 3, 5] is not finite')


def test_probe_of_nothing(scan: ScanData) -> None:
    assert 'probe is zero everywhere' in faults_of(scan, probe=np.zeros_like(scan.probe))[0]


def test_mask_of_another_shape(scan: ScanData) -> None:
    (fault,) = faults_of(scan, mask=np.zeros((9, 16, 16), bool))
    assert fault == 'mask must have the shape of a frame, (16, 16), got (9, 16, 16)'


def test_mask_of_everything(scan: ScanData) -> None:
    assert 'mask leaves no detector pixel' in faults_of(scan, mask=np.ones((16, 16), bool))[0]


def test_object_guess_must_be_a_finite_image(scan: ScanData) -> None:
    assert scan.object_guess is not None
    assert 'object_guess must have shape (H, W), got (1, 2, 3)' in faults_of(
        scan, object_guess=np.ones((1, 2, 3), np.complex64)
    )
    guess = changed(scan.object_guess, (2, 5), np.nan)
    assert faults_of(scan, object_guess=guess)[0].startswith('object_guess[2, 5] is not finite')


def test_scan_index_of_another_length(scan: ScanData) -> None:
    (fault,) = faults_of(scan, metadata=ScanMetadata(scan_index=np.arange(4)))
    assert fault == '9 diffraction patterns need as many scan_index values, got (4,)'


def test_all_faults_come_together(scan: ScanData) -> None:
    faults = faults_of(
        scan,
        counts=scan.counts.astype(np.float64),
        positions_px=changed(scan.positions_px, (0, 0), np.inf),
        probe=np.zeros_like(scan.probe),
        mask=np.ones((16, 16), bool),
    )
    assert len(faults) == 4
    with pytest.raises(ScanDataError, match='made for a test: 2 faults:\n- '):
        dataclasses.replace(
            scan,
            probe=np.zeros_like(scan.probe),
            positions_px=changed(scan.positions_px, (0, 0), np.inf),
        )


def test_positions_outside_the_canvas_are_legal(scan: ScanData) -> None:
    moved = dataclasses.replace(scan, positions_px=scan.positions_px - 40)
    assert moved.positions_px.min() < 0
