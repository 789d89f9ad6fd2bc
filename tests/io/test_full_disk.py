"""Files appear whole or not at all, whatever the disk does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.atomic.output_file import OutputFile
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.fixture import cut_fixture, save_fixture
from ptychopinn_plugin.io.model_file import load_model, save_model, save_trained_model
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.plotting import picture
from tests.helpers import make_scan
from tests.io.result_examples import known_reconstruction
from tests.io.test_model_file import small_model

SCAN, RESULT = known_reconstruction()
SMALL = make_scan(side=3, frame_size=8)
OLD = b'the old file'
WRITERS: dict[str, Callable[[Path], None]] = {
    'a.npz': lambda path: save_npz(path, SMALL),
    'b.npz': lambda path: save_reconstruction(path, RESULT, SCAN),
    'c.npz': lambda path: save_fixture(path, cut_fixture(SMALL, 4)),
    'product.h5': lambda path: save_reconstruction(path, RESULT, SCAN),
    'diffraction.h5': lambda path: save_ptychodus_pair(path.parent, SMALL),
    'd.safetensors': lambda path: save_model(path, small_model()),
    'e.png': lambda path: picture(RESULT, path),
    'f.pdf': lambda path: picture(RESULT, path),
}


@dataclass
class Disk:
    """Stands for a disk.

    Attributes:
        room: for a file, bytes.
    """

    room: int = 2**40


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    write_all = OutputFile._write_all

    def write_some(file: OutputFile, content: memoryview) -> None:
        room = max(0, disk.room - file.tell())
        write_all(file, content[:room])
        if room < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OutputFile, '_write_all', write_some)
    return disk


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith('.'))


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith('.pdf') else name
        for name in WRITERS
    ],
)
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, disk: Disk, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.stat().st_size
    path.write_bytes(OLD)
    few = name.startswith(('e', 'f'))  # pictures take their time
    for room in [whole // 2] if few else np.linspace(0, whole - 1, 12).astype(int).tolist():
        disk.room = room
        with pytest.raises(OutputError, match=f'{name} cannot be written: No space left'):
            WRITERS[name](path)
        assert path.read_bytes() == OLD
        assert hidden(tmp_path) == []
    disk.room = 2**40
    if not few:
        WRITERS[name](path)
        assert path.stat().st_size == pytest.approx(whole, rel=0.01)


def test_an_output_file_behaves_as_a_file(tmp_path: Path) -> None:
    with replacing(tmp_path / 'a') as file:
        assert file.write(b'hello world') == 11
        assert (file.tell(), file.seek(-5, os.SEEK_END), file.read()) == (11, 6, b'world')
        assert file.seek(20) == 20
        file.write(bytearray(range(3)))
        file.seek(9)
        assert file.truncate() == 9
        assert file.read(4) == b''
        file.seek(0)
        assert file.read(5) == b'hello'
    assert (tmp_path / 'a').read_bytes() == b'hello wor'


def test_a_failed_file_goes_on_and_fails_at_the_end(tmp_path: Path, disk: Disk) -> None:
    disk.room = 4
    path = tmp_path / 'a'
    with OutputFile(os.open(path, os.O_RDWR | os.O_CREAT)) as file:
        assert file.write(b'abcdefgh') == 8
        assert file.tell() == 8
        file.seek(0)
        assert file.read(9) == bytes(8)
        with pytest.raises(OSError, match='No space'):
            file.finish()


def test_an_error_of_the_caller_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AttributeError), replacing(tmp_path / 'a') as file:
        file.nothing()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('secrets.token_hex', lambda count: '00000000')
    target = tmp_path / 'target'
    (tmp_path / '.a.00000000.part').symlink_to(target)
    with pytest.raises(OutputError, match='exists'), replacing(tmp_path / 'a.npz') as file:
        file.write(b'abc')
    assert not target.exists()
    assert (tmp_path / '.a.00000000.part').is_symlink()


@pytest.mark.skipif(not hasattr(os, 'getuid') or os.getuid() != 0, reason='needs the superuser')
def test_owner_group_and_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    path.write_bytes(OLD)
    path.chmod(0o640)
    os.chown(path, 12345, 23456)
    save_npz(path, SMALL)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (12345, 23456, 0o640)


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no groups')
def test_a_group_that_cannot_be_kept_loses_its_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError

    path = tmp_path / 'a.npz'
    path.write_bytes(OLD)
    path.chmod(0o664)
    save_npz(path, SMALL)
    assert path.stat().st_mode & 0o777 == 0o664
    if os.getuid() == 0:
        os.chown(path, -1, 23456)
        monkeypatch.setattr(os, 'chown', refuse)
        save_npz(path, SMALL)
        assert path.stat().st_mode & 0o777 == 0o644


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    names = ['.a.01234567.part', '.b.ckpt.89abcdef.part', '.old.00112233.part.npz']
    others = ['.a.part', '.a.0123456z.part', 'a.01234567.part', '.young.01234567.part']
    for name in names + others:
        (tmp_path / name).write_bytes(b'abc')
    (tmp_path / '.folder.01234567.part').mkdir()
    hour_ago = time.time() - 3600
    for path in tmp_path.iterdir():
        if 'young' not in path.name:
            os.utime(path, (hour_ago, hour_ago))
    save_npz(tmp_path / 'new.npz', SMALL)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {*others, '.folder.01234567.part', 'new.npz'}


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows does not remove open files')
def test_a_file_that_is_being_written_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / 'a.npz') as file:
        file.write(b'abc')
        (name,) = hidden(tmp_path)
        os.utime(tmp_path / name, (0, 0))
        save_npz(tmp_path / 'b.npz', SMALL)
        assert hidden(tmp_path) == [name]
    assert (tmp_path / 'a.npz').read_bytes() == b'abc'


def test_a_trained_model_is_saved_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    refuge = tmp_path / 'refuge'
    refuge.mkdir()
    monkeypatch.setattr('tempfile.gettempdir', lambda: str(refuge))
    with pytest.raises(
        OutputError, match=r'the model was saved as .*refuge.*\.safetensors instead'
    ):
        save_trained_model(tmp_path / 'missing' / 'model.safetensors', small_model())
    (saved,) = refuge.iterdir()
    save_trained_model(tmp_path / 'model.safetensors', small_model())
    np.testing.assert_array_equal(load_model(saved).losses, small_model().losses)
    disk.room = 10
    with pytest.raises(OutputError, match=r'No space left on device$'):
        save_trained_model(tmp_path / 'model.safetensors', small_model())


@pytest.mark.skipif(sys.platform == 'win32', reason='needs limits of the file size')
@pytest.mark.parametrize('ending', ['h5', 'npz'])
def test_a_program_that_may_write_little(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f'scan.{ending}'
    path.write_bytes(OLD)
    code = (
        'import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));'
        'from ptychopinn_plugin.cli.main import main; sys.exit(main(sys.argv[1:]))'
    )
    words = ['simulate', str(path), '--rows', '3', '--columns', '3']
    done = subprocess.run(
        [sys.executable, '-c', code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = f'ptychopinn: {path} cannot be written: File too large\n'
    if ending == 'h5' and not hasattr(ptychodus_io, 'save_training_data'):
        said = f'ptychopinn: {path} needs Ptychodus 1.7 or later; give the name of an .npz file\n'
    assert done.stderr == said
    assert path.read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_results_are_whole(tmp_path: Path) -> None:
    for name in ('a.npz', 'a.h5'):
        save_reconstruction(tmp_path / name, RESULT, SCAN)
        found = load_result(tmp_path / name).object_canvas
        known = np.isfinite(RESULT.object_canvas)
        np.testing.assert_array_equal(found[known], RESULT.object_canvas[known])
