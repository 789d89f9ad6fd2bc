"""Damaged files of every format: a result or an error of this package, and nothing else.

A small share of the cases; `python -m tests.fuzz --cases 10000` runs as many as one likes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.fuzz import cases
from tests.fuzz.cases import Fuzz, fault_of
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize('target', TARGETS)
def test_some_damaged_files(tmp_path: Path, target: str) -> None:
    assert list(Fuzz(tmp_path, (target,)).run(25, seed=1)) == []


@pytest.mark.slow
@pytest.mark.parametrize('target', TARGETS)
def test_many_damaged_files(tmp_path: Path, target: str) -> None:
    assert list(Fuzz(tmp_path, (target,)).run(300, seed=1_000_000)) == []


def test_a_case_can_be_made_again(tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path, ('yaml',))
    found = [fuzz.damaged_file('yaml', seed).read_bytes() for seed in (3, 4, 3)]
    assert found[0] == found[2] != found[1]


def test_what_a_reader_must_not_do_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'c.toml'
    path.write_text('epochs = [1]')
    assert fault_of('toml', path) == ''
    monkeypatch.setattr(cases, 'LONGEST_MESSAGE', 10)
    assert 'a message of' in fault_of('toml', path)
    assert 'control characters' in cases.control_characters('a\x07')
    assert 'KeyError' in cases.names_of_python("s.npz cannot be read (KeyError: 'x')")
    assert cases.names_of_python("s.npz has no 'x'; the error is large") == ''
    monkeypatch.setitem(TARGETS, 'toml', dataclasses.replace(TARGETS['toml'], read=_fail))
    assert fault_of('toml', path) == "KeyError: 'x'"


def _fail(path: Path) -> object:
    raise KeyError('x')
