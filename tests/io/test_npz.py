"""Every form of .npz gives the same scan; what is decided is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.preflight import preflight
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=3, step_px=3.0, photons=1e5)


def faults_of(path: Path, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ScanDataError) as caught:
        load_npz(path, **options)
    return caught.value.faults


def assert_same(read: ScanData, scan: ScanData) -> None:
    np.testing.assert_array_equal(read.counts, scan.counts)
    np.testing.assert_array_equal(read.positions_px, scan.positions_px)
    np.testing.assert_allclose(read.probe, scan.probe, rtol=1e-6)
    np.testing.assert_array_equal(read.mask, scan.mask)
    assert read.object_guess is not None
    assert scan.object_guess is not None
    assert read.object_guess.shape == scan.object_guess.shape


def test_canonical_amplitudes_give_the_exact_counts(tmp_path: Path, scan: ScanData) -> None:
    read = load_npz(write(tmp_path / 's.npz', canonical(scan)))
    assert_same(read, scan)
    assert "'diffraction' holds amplitude: nothing in the file says otherwise" in read.decisions
    assert read.source == str(tmp_path / 's.npz')


def test_frames_are_found_under_the_key_of_old_files(tmp_path: Path, scan: ScanData) -> None:
    members = canonical(scan)
    members['diff3d'] = members.pop('diffraction')
    assert_same(load_npz(write(tmp_path / 's.npz', members)), scan)


def test_the_canonical_key_comes_first(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan), diff3d=np.ones((9, 16, 16)))
    assert_same(load_npz(path), scan)


def test_a_file_without_frames_is_a_fault(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan), without=('diffraction',))
    (fault,) = faults_of(path)
    assert fault.startswith("neither 'diffraction' nor 'diff3d' is in the file; it holds xcoords")


@pytest.mark.parametrize('dtype', [np.uint16, np.uint32, np.int64, np.float32, np.float64])
def test_counts_are_known_by_integer_dtype_or_values(
    tmp_path: Path, scan: ScanData, dtype: type
) -> None:
    counts: np.ndarray = scan.counts.astype(dtype)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=counts))
    assert_same(read, scan)
    why = 'is an integer' if np.issubdtype(dtype, np.integer) else 'every value is a whole number'
    assert any('holds counts' in d and why in d for d in read.decisions)


def test_one_fraction_anywhere_means_amplitude(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.io.npy_stream.CHUNK_BYTES', 16 * 16 * 4)
    for frame in (0, 4, 8):
        values = scan.counts.copy()
        values[frame, 3, 3] = 1.5
        # A probe whose unit tells nothing.
        probe = scan.probe * 1e4
        path = write(tmp_path / 's.npz', canonical(scan), diffraction=values, probeGuess=probe)
        np.testing.assert_array_equal(load_npz(path).counts, values**2)


def test_squares_that_are_not_whole_are_not_rounded(tmp_path: Path, scan: ScanData) -> None:
    expected = scan.counts + np.float32(0.2)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=np.sqrt(expected)))
    np.testing.assert_allclose(read.counts, expected, rtol=1e-6)
    assert not any('whole numbers' in d for d in read.decisions)


def test_integer_amplitudes_are_squared_without_wrapping(tmp_path: Path, scan: ScanData) -> None:
    amplitude = np.full((9, 16, 16), 1000, np.uint16)
    read = load_npz(
        write(tmp_path / 's.npz', canonical(scan), diffraction=amplitude), domain='amplitude'
    )
    np.testing.assert_array_equal(read.counts, 1e6)


@pytest.mark.parametrize(
    ('declared', 'domain'),
    [('counts', 'counts'), ('intensity', 'counts'), ('amplitude', 'amplitude')],
)
def test_the_files_own_word_beats_the_values(
    tmp_path: Path, scan: ScanData, declared: str, domain: str
) -> None:
    values = np.rint(np.sqrt(scan.counts))
    path = write(
        tmp_path / 's.npz', canonical(scan), diffraction=values, measurement_domain=declared
    )
    read = load_npz(path)
    expected = values**2 if domain == 'amplitude' else values
    np.testing.assert_array_equal(read.counts, expected)
    assert any(f"measurement_domain = '{declared}'" in d for d in read.decisions)


def test_the_user_beats_the_file(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan), measurement_domain='counts')
    read = load_npz(path, domain='amplitude')
    assert_same(read, scan)
    assert "'diffraction' holds amplitude, as asked for" in read.decisions


def test_a_domain_nobody_knows(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan), measurement_domain='phase')
    (fault,) = faults_of(path)
    assert "must be 'counts' or 'amplitude', got 'phase'" in fault


def test_frames_on_the_last_axis_are_transposed(tmp_path: Path, scan: ScanData) -> None:
    transposed = np.moveaxis(scan.counts, 0, 2)
    for name, stored in (
        ('c', np.ascontiguousarray(transposed)),
        ('f', np.asfortranarray(transposed)),
    ):
        path = write(tmp_path / f'{name}.npz', canonical(scan), diffraction=stored)
        read = load_npz(path)
        assert_same(read, scan)
        assert any('on its last axis' in d for d in read.decisions)


def test_a_transposed_stack_of_another_number_is_reported_as_such(
    tmp_path: Path, scan: ScanData
) -> None:
    members = canonical(scan)
    members['diffraction'] = np.moveaxis(members['diffraction'], 0, 2)
    members['xcoords'], members['ycoords'] = members['xcoords'][:8], members['ycoords'][:8]
    assert faults_of(write(tmp_path / 's.npz', members)) == (
        '9 diffraction patterns need positions_px of shape (9, 2), got (8, 2)',
    )
    (fault,) = faults_of(write(tmp_path / 't.npz', members, without=('xcoords',)))
    assert "'xcoords' is missing" in fault


def test_both_ends_of_the_stack_may_be_frames(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=4, step_px=3.0)
    # Frames as bright at the edge as in the middle do not decide.
    even = np.random.default_rng(0).poisson(200.0, scan.counts.shape).astype(np.float32)
    scan = dataclasses.replace(scan, counts=even)
    path = write(tmp_path / 's.npz', canonical(scan))
    (fault,) = faults_of(path)
    assert 'load_scan(axis_order=...)' in fault
    assert_same(load_npz(path, axis_order='nhw'), scan)
    transposed = write(
        tmp_path / 't.npz', canonical(scan), diffraction=np.moveaxis(np.sqrt(scan.counts), 0, 2)
    )
    assert_same(load_npz(transposed, axis_order='hwn'), scan)
    declared = write(tmp_path / 'd.npz', canonical(scan), measurement_domain=np.array('amplitude'))
    assert_same(load_npz(declared), scan)


@pytest.mark.parametrize('domain', ['counts', 'amplitude'])
@pytest.mark.parametrize('corner', [False, True])
@pytest.mark.parametrize('fortran', [False, True])
def test_as_many_frames_as_pixels_are_told_by_their_light(
    tmp_path: Path, domain: str, corner: bool, fortran: bool
) -> None:
    scan = make_scan(frame_size=16, side=4, step_px=3.0)
    values = scan.counts if domain == 'counts' else np.sqrt(scan.counts)
    values = np.fft.ifftshift(values, axes=(1, 2)) if corner else values
    ordered = np.asfortranarray if fortran else np.ascontiguousarray
    for axis, stack in enumerate((values, np.moveaxis(values, 0, 2))):
        path = write(tmp_path / 's.npz', canonical(scan), diffraction=ordered(stack))
        read = load_npz(path, dc='corner' if corner else 'center')
        assert_same(read, scan)
        where = ('first', 'last')[axis]
        assert any(f'frames on its {where} axis' in decision for decision in read.decisions)


def test_frames_without_light_do_not_hide_the_frame_axis(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=4, step_px=3.0)
    values = np.sqrt(scan.counts)
    values[6:8] = 0
    stack = np.moveaxis(values, 0, 2)
    assert load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=stack)).frame_count == 14
    # Most of the frames without light: the values no longer tell.
    values[2:] = 0
    assert (
        'load_scan(axis_order=...)'
        in faults_of(write(tmp_path / 't.npz', canonical(scan), diffraction=values))[0]
    )


def test_intensities_that_are_no_whole_numbers_are_told_by_the_probe(
    tmp_path: Path, scan: ScanData
) -> None:
    # With one factor for all pixels these would be known as counts times a gain.
    efficiency = np.linspace(0.9, 1, scan.frame_size, dtype=np.float32)
    intensity = scan.counts * efficiency
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=intensity))
    np.testing.assert_array_equal(read.counts, intensity)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert any('and the probe' in decision for decision in read.decisions)
    amplitude = load_npz(write(tmp_path / 'a.npz', canonical(scan), diffraction=np.sqrt(intensity)))
    np.testing.assert_allclose(amplitude.counts, intensity, rtol=1e-6)
    # A probe in a unit of its own tells nothing, which is remarked on.
    path = write(
        tmp_path / 'u.npz', canonical(scan), diffraction=intensity, probeGuess=scan.probe * 1e-4
    )
    found = preflight(load_npz(path)).warnings
    assert any("load_scan(domain='counts')" in warning for warning in found)


@settings(max_examples=30, deadline=None)
@given(
    order=st.sampled_from(['nhw', 'hwn']),
    fortran=st.booleans(),
    dtype=st.sampled_from(['<u2', '>u2', '<f8', '>f4', '<i4']),
    chunk=st.integers(1, 5000),
)
def test_blocks_put_together_are_the_array(
    tmp_path_factory: pytest.TempPathFactory, order: str, fortran: bool, dtype: str, chunk: int
) -> None:
    scan = make_scan(frame_size=8, side=3, step_px=2.0, photons=1e4)
    stored = scan.counts if order == 'nhw' else np.moveaxis(scan.counts, 0, 2)
    stored = np.array(stored, dtype=dtype, order='F' if fortran else 'C')
    path = write(tmp_path_factory.mktemp('blocks') / 's.npz', canonical(scan), diffraction=stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('ptychopinn_plugin.io.npy_stream.CHUNK_BYTES', chunk)
        np.testing.assert_array_equal(load_npz(path).counts, scan.counts)


def test_wide_dtypes_are_cast(tmp_path: Path, scan: ScanData) -> None:
    assert scan.object_guess is not None
    path = write(
        tmp_path / 's.npz',
        canonical(scan),
        diffraction=np.sqrt(scan.counts.astype(np.float64)),
        probeGuess=scan.probe.astype(np.complex128),
        objectGuess=scan.object_guess.astype(np.complex128),
        xcoords=scan.positions_px[:, 1].astype(np.float32),
    )
    read = load_npz(path)
    assert read.counts.dtype == np.float32
    assert read.probe.dtype == np.complex64
    assert read.object_guess is not None
    assert read.object_guess.dtype == np.complex64
    assert read.positions_px.dtype == np.float64
    assert any('cast from complex128' in d for d in read.decisions)


@pytest.mark.parametrize('modes', [1, 3])
@pytest.mark.parametrize('form', ['modes first', 'modes last', 'with a leading axis'])
def test_forms_of_the_probe(tmp_path: Path, modes: int, form: str) -> None:
    scan = make_scan(frame_size=16, side=3, modes=modes)
    stored = {
        'modes first': scan.probe,
        'modes last': np.moveaxis(scan.probe, 0, 2),
        'with a leading axis': scan.probe[np.newaxis],
    }[form]
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), probeGuess=stored))
    np.testing.assert_array_equal(read.probe, scan.probe)


def test_a_probe_in_fortran_order(tmp_path: Path, scan: ScanData) -> None:
    stored = np.asfortranarray(scan.probe[0])
    assert_same(load_npz(write(tmp_path / 's.npz', canonical(scan), probeGuess=stored)), scan)


def test_a_probe_without_a_mode_axis_is_one_mode(tmp_path: Path, scan: ScanData) -> None:
    assert_same(
        load_npz(write(tmp_path / 's.npz', canonical(scan), probeGuess=scan.probe[0])), scan
    )


@pytest.mark.parametrize('suffix', ['npz', 'npy'])
def test_a_probe_from_elsewhere(tmp_path: Path, scan: ScanData, suffix: str) -> None:
    members = canonical(scan)
    path = write(tmp_path / 's.npz', members, without=('probeGuess',))
    (fault,) = faults_of(path)
    assert "'probeGuess' is missing" in fault
    other = tmp_path / f'probe.{suffix}'
    if suffix == 'npz':
        np.savez(other, probe=scan.probe)
    else:
        np.save(other, scan.probe)
    assert_same(load_npz(path, probe=other), scan)
    assert_same(load_npz(path, probe=scan.probe[0]), scan)
    other.write_bytes(b'nothing')
    (fault,) = faults_of(path, probe=other)
    assert other.name in fault


def test_bad_pixels_of_the_file_are_the_mask(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3, bad_pixels=4)
    amplitude = np.sqrt(scan.counts)
    amplitude[:, scan.mask] = np.nan
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=amplitude, bad_pixels=scan.mask)
    assert_same(load_npz(path), scan)
    differing = np.zeros((9, 16, 16), bool)
    differing[4] = scan.mask
    by_frame = write(tmp_path / 'f.npz', canonical(scan), bad_pixels=differing)
    assert_same(load_npz(by_frame), scan)
    by_number = write(
        tmp_path / 'n.npz', canonical(scan), bad_pixels=np.stack([scan.mask] * 9).astype(np.uint8)
    )
    assert_same(load_npz(by_number), scan)
    for wrong in (np.full((16, 16), 7), np.zeros((8, 8), bool), np.zeros((16, 16))):
        assert (
            'bad_pixels'
            in faults_of(write(tmp_path / 'w.npz', canonical(scan), bad_pixels=wrong))[0]
        )


def test_the_instrument(tmp_path: Path, scan: ScanData) -> None:
    path = write(
        tmp_path / 's.npz',
        canonical(scan),
        pixel_size_m=[1e-8, 2e-8],
        photon_energy_ev=8000,
        detector_distance_m=2.5,
        scan_index=np.arange(9) + 40,
    )
    known = load_npz(path).metadata
    assert known.pixel_size_m == (1e-8, 2e-8)
    assert (known.photon_energy_ev, known.detector_distance_m) == (8000, 2.5)
    assert known.scan_index is not None
    np.testing.assert_array_equal(known.scan_index, np.arange(9) + 40)
    same = write(
        tmp_path / 't.npz', canonical(scan), scan_index=np.zeros(9, int), pixel_size_m=1e-8
    )
    assert load_npz(same).metadata.scan_index is None
    assert load_npz(same).metadata.pixel_size_m == (1e-8, 1e-8)
    assert (
        'photon_energy_ev'
        in faults_of(write(tmp_path / 'u.npz', canonical(scan), photon_energy_ev='8 keV'))[0]
    )


def test_zero_frequency_in_the_corner(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3, bad_pixels=3)
    path = write(
        tmp_path / 's.npz',
        canonical(scan),
        diffraction=np.fft.ifftshift(np.sqrt(scan.counts), axes=(1, 2)),
        bad_pixels=np.fft.ifftshift(scan.mask),
    )
    assert_same(load_npz(path, dc='corner'), scan)


def test_what_is_not_read_may_be_pickled_and_the_rest_may_not(
    tmp_path: Path, scan: ScanData
) -> None:
    odd = np.array([{'a': 1}, None], dtype=object)
    assert_same(load_npz(write(tmp_path / 's.npz', canonical(scan), notes=odd)), scan)
    (fault,) = faults_of(write(tmp_path / 't.npz', canonical(scan), probeGuess=odd))
    assert "member 'probeGuess' holds Python objects" in fault
    (fault,) = faults_of(write(tmp_path / 'u.npz', canonical(scan), diffraction=odd))
    assert "member 'diffraction' holds Python objects" in fault


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'xcoords': np.arange(8.0)}, 'ycoords has 9 values, xcoords 8'),
        ({'xcoords': np.ones((3, 3))}, "'xcoords' must be a list of n numbers, got shape (3, 3)"),
        ({'ycoords': np.ones(9, complex)}, "'ycoords' must hold real numbers, got complex128"),
        ({'diffraction': np.ones((9, 16, 16), complex)}, 'frames must be real numbers'),
        ({'diffraction': np.ones((16, 16))}, 'must have shape (n, N, N), got (16, 16)'),
        ({'diffraction': np.ones((9, 16, 12))}, 'frames must be square, got 16 x 12'),
        ({'diffraction': np.ones((0, 16, 16))}, 'counts is empty'),
        (
            {'diffraction': np.full((9, 16, 16), 1.5e30), 'measurement_domain': 'amplitude'},
            'counts[0, 0, 0] is infinite',
        ),
        ({'diffraction': np.full((9, 16, 16), -0.5)}, 'diffraction[0, 0, 0] is negative (-0.5)'),
        ({'diffraction': np.full((9, 16, 16), -1)}, 'counts[0, 0, 0] is negative (-1.0)'),
        ({'diffraction': np.full((9, 16, 16), np.inf)}, 'counts[0, 0, 0] is infinite'),
        ({'probeGuess': np.ones((2, 3, 4, 5))}, 'must have shape (N, N) or (modes, N, N)'),
        ({'probeGuess': np.ones((8, 8))}, 'probe is 8 x 8 pixels but the frames are 16 x 16'),
        ({'probeGuess': np.array('disk')}, 'probeGuess must hold complex numbers'),
        ({'objectGuess': np.ones(5)}, "'objectGuess' must be a complex image"),
        ({'nphotons': -1.0}, "'nphotons' must be a positive number, got -1.0"),
        ({'pixel_size_m': np.ones(3)}, "'pixel_size_m' must be one number or (y, x)"),
    ],
)
def test_other_faults(tmp_path: Path, scan: ScanData, change: dict[str, Any], message: str) -> None:
    faults = faults_of(write(tmp_path / 's.npz', canonical(scan), **change))
    assert any(message in fault for fault in faults), faults


def test_positions_and_frames_of_another_number(tmp_path: Path, scan: ScanData) -> None:
    members = canonical(scan)
    members['xcoords'], members['ycoords'] = members['xcoords'][:8], members['ycoords'][:8]
    assert faults_of(write(tmp_path / 's.npz', members)) == (
        '9 diffraction patterns need positions_px of shape (9, 2), got (8, 2)',
    )


def test_five_faults_are_reported_at_once(tmp_path: Path, scan: ScanData) -> None:
    members = canonical(scan)
    members['diffraction'] = members['diffraction'].astype(np.float64)
    members['diffraction'][3, 2, 1] = np.nan
    members['ycoords'] = members['ycoords'].copy()
    members['ycoords'][3] = np.nan
    path = write(
        tmp_path / 's.npz',
        members,
        without=('probeGuess',),
        objectGuess=np.ones(3),
        bad_pixels=np.zeros((4, 4), bool),
    )
    faults = faults_of(path)
    assert len(faults) == 5
    for part in ('probeGuess', 'objectGuess', 'bad_pixels', 'counts[3, 2, 1]', 'positions_px[3]'):
        assert any(part in fault for fault in faults)


def test_faults_beside_missing_frames(tmp_path: Path, scan: ScanData) -> None:
    path = write(
        tmp_path / 's.npz',
        canonical(scan),
        without=('diffraction',),
        probeGuess=np.zeros((16, 16)),
        ycoords=np.full(9, np.inf),
    )
    faults = ' '.join(faults_of(path))
    assert 'neither' in faults
    assert 'probe is zero' in faults
    assert 'positions_px[0] is not finite' in faults
