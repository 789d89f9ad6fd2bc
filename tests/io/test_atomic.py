"""Files that are written whole, and paths that are refused before any work is done."""

from pathlib import Path

import pytest

from ptychopinn_plugin.atomic import check_output, check_output_folder, replacing
from ptychopinn_plugin.errors import OutputError

# Nothing can be written there, not even by the administrator.
READ_ONLY = Path('/proc/self')

needs_read_only_folder = pytest.mark.skipif(not READ_ONLY.is_dir(), reason='there is no /proc')


def write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


@pytest.mark.parametrize('exists', [True, False])
def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path, exists: bool) -> None:
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    target, link = elsewhere / 'object.npz', tmp_path / 'link.npz'
    if exists:
        target.write_text('old')
    link.symlink_to(target)
    check_output(link, ('.npz',))
    write(link, 'new')
    assert link.is_symlink()
    assert target.read_text() == 'new'
    assert [path.name for path in elsewhere.iterdir()] == ['object.npz']


def test_a_link_into_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    link = tmp_path / 'link.npz'
    link.symlink_to(tmp_path / 'missing' / 'object.npz')
    with pytest.raises(OutputError, match=r'there is no folder .*missing to write'):
        check_output(link, ('.npz',))


@pytest.mark.parametrize('letter', ['x', 'ä'])
def test_the_longest_name_that_a_folder_takes_is_written(tmp_path: Path, letter: str) -> None:
    path = tmp_path / (letter * (251 // len(letter.encode())) + '.npz')
    check_output(path, ('.npz',))
    write(path, 'new')
    assert path.read_text() == 'new'


def test_a_name_that_is_too_long_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match='cannot be written: File name too long'):
        check_output(tmp_path / ('x' * 252 + '.npz'), ('.npz',))
    with pytest.raises(OutputError, match='cannot be made: File name too long'):
        check_output_folder(tmp_path / ('x' * 256))


@needs_read_only_folder
def test_a_folder_that_takes_no_files_is_refused_before_the_work() -> None:
    with pytest.raises(OutputError, match=r'/proc/self cannot be written to .*; choose another'):
        check_output(READ_ONLY / 'object.npz', ('.npz',))
    with pytest.raises(OutputError, match=r'/proc/self cannot be written to .*; choose another'):
        check_output_folder(READ_ONLY / 'a' / 'b')


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'below'):
        with pytest.raises(OutputError, match='file is a file; its name is needed'):
            check_output_folder(folder)


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    check_output_folder(tmp_path / 'a' / 'b')
    assert list(tmp_path.iterdir()) == []
