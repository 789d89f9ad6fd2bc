"""A program that is killed leaves the old file or a whole new one, and no process.

`python -m tests.integration.kills 100` kills more often.
"""

from pathlib import Path

import pytest

from ptychopinn_plugin.errors import ResultFileError
from tests.integration import kills

pytestmark = pytest.mark.integration
PROGRAM = kills.programs('pytorch')['reconstruct']
OUTPUT = 'object.npz'


@pytest.mark.slow
@pytest.mark.pytorch
def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    found = kills.kill_often(tmp_path, 10, seed=0, names=['resume', 'train', 'batch'])
    assert sum(found.values()) == 10
    assert sum(times for name, times in found.items() if name.endswith('killed')) >= 5


def instead(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Run a shell command in place of the program."""
    monkeypatch.setattr(kills.Program, 'command', lambda _self, _folder: ['sh', '-c', *words])


def test_half_a_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / OUTPUT).write_bytes(bytes(1000))
    instead(monkeypatch, f'truncate --size 100 {tmp_path / OUTPUT}')
    with pytest.raises(ResultFileError):
        kills.kill_once(PROGRAM, tmp_path, 10)


def test_a_file_that_is_gone_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / OUTPUT).touch()
    instead(monkeypatch, f'rm {tmp_path / OUTPUT}')
    with pytest.raises(kills.DamageError, match='gone'):
        kills.kill_once(PROGRAM, tmp_path, 10)


def test_a_program_that_fails_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, 'echo no checkpoint >&2; exit 2')
    with pytest.raises(kills.DamageError, match='no checkpoint'):
        kills.kill_once(PROGRAM, tmp_path, 10)


def test_files_that_pile_up_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, f'touch {tmp_path}/.a.part {tmp_path}/.b.part')
    with pytest.raises(kills.DamageError, match='pile up'):
        kills.kill_once(PROGRAM, tmp_path, 10)


def test_a_process_that_stays_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, 'sleep 4 & sleep 4')
    with pytest.raises(kills.DamageError, match='still run'):
        kills.kill_once(PROGRAM, tmp_path, 0.5)
