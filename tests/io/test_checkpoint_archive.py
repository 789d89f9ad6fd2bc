"""Checkpoints come back as they were, and nothing else passes for one."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import CheckpointError, OutputError
from ptychopinn_plugin.io import checkpoint_archive
from ptychopinn_plugin.io.checkpoint_archive import (
    CheckpointHeader,
    load_checkpoint,
    save_checkpoint,
    scan_fingerprint,
)
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.scan import Estimates, ScanData
from tests.helpers import make_scan

HEADER = CheckpointHeader(
    backend='tensorflow', scan='a' * 64, inference=InferenceConfig(momentum=0.3)
)
STATE = SavedState(
    {
        'now/probe': np.full((2, 3, 4), 1 + 2j, np.complex64),
        'mean': np.array(1j, np.complex64),
        'flux': np.linspace(0, 1, 5),
    },
    {'passes': 3, 'on': True, 'best': math.inf, 'none': None, 'names': ['a', 'b'], 'r': [0.1, 2.0]},
    {'now/canvas_object': np.full((5, 6), 3 - 1j, np.complex64)},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / 'a.checkpoint'
    save_checkpoint(path, HEADER, STATE)
    return path


def test_header_arrays_and_values_come_back(path: Path) -> None:
    header, state = load_checkpoint(path)
    assert header == HEADER
    assert state.values == STATE.values
    assert [type(value) for value in state.values.values()] == [
        type(value) for value in STATE.values.values()
    ]
    for some, others in ((state.arrays, STATE.arrays), (state.images, STATE.images)):
        assert some.keys() == others.keys()
        for name, array in others.items():
            np.testing.assert_array_equal(some[name], array)
            assert some[name].dtype == array.dtype


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        load_checkpoint(tmp_path / 'a.checkpoint')


def test_a_flipped_bit_never_passes_for_the_state(path: Path) -> None:
    content, dice = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            header, state = load_checkpoint(path)
        except CheckpointError:
            refused += 1
            continue
        # Bits that mean nothing, such as the time of a member.
        assert (header, state.values) == (HEADER, STATE.values)
        for name, array in STATE.arrays.items():
            np.testing.assert_array_equal(state.arrays[name], array)
    assert refused > 75


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9, 0.999])
def test_one_that_was_cut_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r'a\.checkpoint'):
        load_checkpoint(path)


FILES: dict[str, Callable[[Path], object]] = {
    'zeros': lambda path: path.write_bytes(bytes(5000)),
    'text': lambda path: path.write_text('momentum = 0.9'),
    'pickle': lambda path: path.write_bytes(b'\x80\x04N.'),
    'another archive': lambda path: write(path, object=np.zeros(3)),
    'no json': lambda path: write(path, header=np.array('{'), values=np.array('{}')),
    'a list': lambda path: write(path, header=np.array('[1]'), values=np.array('{}')),
    'numbers': lambda path: write(path, header=np.zeros(3), values=np.zeros(3)),
    'deep json': lambda path: write(path, header=np.array('[' * 5000), values=np.array('{}')),
    'no values': lambda path: write(path, header=np.array(HEADER.model_dump_json())),
    'values of other kinds': lambda path: write(
        path, header=np.array(HEADER.model_dump_json()), values=np.array('{"a": {"b": 1}}')
    ),
    'an unknown setting': lambda path: write(path, header=changed_header(inference={'x': 1})),
    'another format': lambda path: write(path, header=changed_header(format_version=2)),
}


def write(path: Path, **arrays: Any) -> None:
    with path.open('wb') as file:
        np.savez(file, **arrays)


def changed_header(**fields: Any) -> Any:
    return np.array(json.dumps(json.loads(HEADER.model_dump_json()) | fields))


@pytest.mark.parametrize('name', FILES)
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    FILES[name](tmp_path / 'a.checkpoint')
    with pytest.raises(CheckpointError, match=r'a\.checkpoint'):
        load_checkpoint(tmp_path / 'a.checkpoint')


def test_one_of_another_version_names_it(tmp_path: Path) -> None:
    write(tmp_path / 'a', header=changed_header(package_version='0.0.7'), values=np.array('{}'))
    with pytest.raises(CheckpointError, match=r'version 0\.0\.7'):
        load_checkpoint(tmp_path / 'a')


def test_a_text_of_any_size_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_archive, 'LONGEST_TEXT', 10)
    with pytest.raises(CheckpointError, match='more than 10 characters'):
        load_checkpoint(path)


def test_a_failing_write_keeps_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full_disk)
    with pytest.raises(OutputError, match='No space left'):
        save_checkpoint(path, HEADER, SavedState.of(passes=4))
    assert load_checkpoint(path)[1].values['passes'] == 3
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def one_changed(scan: ScanData, name: str) -> ScanData:
    """Return a scan with one value of one array changed."""
    array = getattr(scan, name).copy()
    array.flat[3] = not array.flat[3] if array.dtype == bool else array.flat[3] + 1
    return dataclasses.replace(scan, **{name: array})


def test_the_fingerprint_follows_all_that_a_reconstruction_depends_on() -> None:
    scan = make_scan(side=3, frame_size=16, step_px=3.0)
    names = ('counts', 'positions_px', 'probe', 'mask', 'object_guess')
    refined = dataclasses.replace(scan.metadata, probe_is_refined=True)
    others = [
        *(one_changed(scan, name) for name in names),
        dataclasses.replace(scan, metadata=refined),
        dataclasses.replace(scan, estimates=Estimates(flux=np.ones(9))),
        scan.subset(np.arange(8)),
    ]
    found = [scan_fingerprint(one) for one in (scan, *others)]
    assert len({*found}) == len(found)
    named = dataclasses.replace(scan, source='elsewhere', decisions=('read',))
    assert scan_fingerprint(named) == found[0]
