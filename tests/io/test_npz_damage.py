"""A reader returns a scan or raises ScanDataError for any content of a file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope='module', params=['stored', 'compressed'])
def sound(request: pytest.FixtureRequest) -> bytes:
    stream = io.BytesIO()
    save = np.savez if request.param == 'stored' else np.savez_compressed
    save(stream, **canonical(make_scan(frame_size=8, side=3, step_px=2.0)))
    return stream.getvalue()


def message(path: Path) -> str:
    with pytest.raises(ScanDataError) as caught:
        load_npz(path)
    return str(caught.value)


def load_or_refuse(path: Path) -> None:
    try:
        load_npz(path)
    except ScanDataError as error:
        faults = error.faults
    else:
        return
    assert faults
    assert all(fault and '\n' not in fault for fault in faults)


def test_no_file(tmp_path: Path) -> None:
    assert message(tmp_path / 'a.npz') == f'there is no file {tmp_path / "a.npz"}'


def test_a_folder(tmp_path: Path) -> None:
    assert 'is a folder' in message(tmp_path)


@pytest.mark.parametrize(
    ('content', 'part'),
    [(b'', 'is empty'), (b'hello, world', 'is not an .npz file'), (b'PK\x03\x04', 'cut short')],
)
def test_other_content(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / 'a.npz'
    path.write_bytes(content)
    assert part in message(path)


def test_a_single_array(tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    with path.open('wb') as file:
        np.save(file, np.ones(3))
    assert 'a single array (.npy)' in message(path)


def test_half_a_file(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / 'a.npz'
    path.write_bytes(sound[: len(sound) // 2])
    assert 'damaged, cut short or still being written' in message(path)


def test_a_flipped_bit_in_the_frames_is_noticed(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / 'a.npz'
    path.write_bytes(sound)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo('diffraction.npy').header_offset
    damaged = bytearray(sound)
    damaged[start + 300] ^= 1
    path.write_bytes(damaged)
    assert "'diffraction' is damaged" in message(path)


@pytest.mark.parametrize('side', [1 << 15, 1])
def test_a_header_that_promises_more_or_less_than_there_is(tmp_path: Path, side: int) -> None:
    members = canonical(make_scan(frame_size=8, side=3, step_px=2.0))
    path = write(tmp_path / 'a.npz', members, without=('diffraction',))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '<f4', 'fortran_order': False, 'shape': (9, side, side)}
    )
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('diffraction.npy', header.getvalue() + b'\0' * 64)
    assert "'diffraction' is damaged" in message(path)


@FUZZ
@given(data=st.data())
def test_damaged_bytes(tmp_path: Path, sound: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / 'a.npz'
    path.write_bytes(damaged[: data.draw(st.sampled_from([None, len(damaged) // 3]))])
    load_or_refuse(path)


@FUZZ
@given(data=st.data())
def test_damaged_headers_inside_a_sound_archive(
    tmp_path: Path, sound: bytes, data: st.DataObject
) -> None:
    path = tmp_path / 'a.npz'
    name = data.draw(st.sampled_from(['diffraction', 'xcoords', 'probeGuess', 'objectGuess']))
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(path, 'w') as new:
        for info in old.infolist():
            content = bytearray(old.read(info))
            if info.filename == f'{name}.npy':
                place = data.draw(st.integers(0, 127))
                content[place] = data.draw(st.integers(0, 255))
            new.writestr(info.filename, bytes(content))
    load_or_refuse(path)


ANY_ARRAY = hnp.arrays(
    dtype=st.one_of(
        hnp.floating_dtypes(),
        hnp.complex_number_dtypes(),
        hnp.integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.unicode_string_dtypes(max_len=3),
        hnp.datetime64_dtypes(),
    ),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9),
)
KEYS = ('diffraction', 'diff3d', 'xcoords', 'ycoords', 'probeGuess', 'objectGuess', 'bad_pixels',
        'nphotons', 'measurement_domain', 'scan_index', 'pixel_size_m', '_metadata')  # fmt: skip


@FUZZ
@given(key=st.sampled_from(KEYS), array=ANY_ARRAY)
def test_any_array_under_any_key(tmp_path: Path, key: str, array: np.ndarray) -> None:
    members = canonical(make_scan(frame_size=8, side=3, step_px=2.0))
    load_or_refuse(write(tmp_path / 'a.npz', members | {key: array}))
