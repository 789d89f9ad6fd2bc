"""Named pipes, sockets and devices are refused at once, as whatever input they are given."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.errors import ConfigError, ModelFileError, ResultFileError, ScanDataError
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.settings.config_file import read_file

FIXTURE = next((Path(__file__).parents[2] / 'fixtures').glob('*.npz'))


@pytest.fixture(autouse=True)
def no_long_wait() -> Iterator[None]:
    """End an open() that waits for a writer."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError('the open waited')

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(3)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


ENDINGS = ['.npz', '.h5', '.dat']


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('read', [load_scan, read_frame_size])
def test_a_pipe_is_no_scan(read: Callable[[Path], object], ending: str, tmp_path: Path) -> None:
    with pytest.raises(ScanDataError, match='is a named pipe, not a file; copy'):
        read(pipe(tmp_path / f'scan{ending}'))


@pytest.mark.parametrize('inside', ['diffraction.h5', 'product.h5'])
@pytest.mark.parametrize('read', [load_scan, read_frame_size])
def test_a_folder_with_a_pipe_is_no_scan(
    read: Callable[[Path], object], inside: str, tmp_path: Path
) -> None:
    pipe(tmp_path / inside)
    with pytest.raises(ScanDataError, match=f'{inside} is a named pipe'):
        read(tmp_path)


@pytest.mark.parametrize('ending', ['.npz', '.npy', '.h5'])
def test_a_pipe_is_no_probe_and_no_product(ending: str, tmp_path: Path) -> None:
    path = pipe(tmp_path / f'probe{ending}')
    with pytest.raises(ScanDataError, match='named pipe'):
        load_scan(FIXTURE, probe=path)
    with pytest.raises(ScanDataError, match='named pipe'):
        load_scan(FIXTURE, product=path)


def test_a_pipe_is_no_model_no_result_and_no_settings(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match='named pipe'):
        load_model(pipe(tmp_path / 'model.safetensors'))
    for name in ('result.npz', 'result.h5'):
        with pytest.raises(ResultFileError, match='named pipe'):
            load_result(pipe(tmp_path / name))
    for name in ('run.toml', 'run.yaml'):
        with pytest.raises(ConfigError, match='named pipe'):
            read_file(pipe(tmp_path / name), 'model')


@pytest.mark.parametrize('device', ['/dev/zero', '/dev/tty', '/dev/null'])
def test_devices_are_refused_under_whatever_name(device: str, tmp_path: Path) -> None:
    path = tmp_path / 'scan.npz'
    path.symlink_to(device)
    with pytest.raises(ScanDataError, match='is a device'):
        load_scan(path)
    settings = tmp_path / 'run.yaml'
    settings.symlink_to(device)
    with pytest.raises(ConfigError, match='is a device'):
        read_file(settings, 'model')


def test_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name may have a hundred characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind('scan.npz')
        with pytest.raises(ScanDataError, match='is a socket'):
            load_scan('scan.npz')


@pytest.mark.parametrize(
    'arguments',
    [
        ['check', '{pipe}'],
        ['reconstruct', '{pipe}', '--output', 'object.npz'],
        ['reconstruct', str(FIXTURE), '--probe', '{pipe}', '--output', 'object.npz'],
        ['reconstruct', str(FIXTURE), '--model', '{pipe}', '--output', 'object.npz'],
        ['reconstruct', str(FIXTURE), '--config', '{pipe}', '--output', 'object.npz'],
        ['reconstruct', str(FIXTURE), '--continue-from', '{pipe}', '--output', 'object.npz'],
        ['train', '{pipe}', '--model', 'model.safetensors'],
        ['show', '{pipe}', '--picture', 'object.png'],
        ['inspect', '{pipe}'],
        ['fixture', '--source', '{pipe}', '--output', 'small.npz'],
    ],
    ids=' '.join,
)
def test_no_command_waits_for_a_pipe(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipe(tmp_path / 'pipe.npz')
    try:
        code = main([part.format(pipe=path) for part in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else -1
    assert code in (1, 2)
    assert 'is a named pipe' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'name'),
    [
        (['convert', str(FIXTURE), '{folder}'], 'diffraction.h5'),
        (['convert', str(FIXTURE), '{folder}/scan.npz'], 'scan.npz'),
        (['simulate', '{folder}/star.h5'], 'star.h5'),
        (['check', str(FIXTURE), '--no-trials', '--write-mask', '{folder}/mask.npy'], 'mask.npy'),
        (['reconstruct', str(FIXTURE), '--output', '{folder}/object.h5'], 'object.h5'),
        (['train', str(FIXTURE), '--model', '{folder}/m.safetensors'], 'm.safetensors'),
    ],
)
def test_no_command_waits_for_or_replaces_a_pipe_that_it_would_write(
    arguments: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pipe(tmp_path / name)
    assert main([part.format(folder=tmp_path) for part in arguments]) in (1, 2)
    assert f'{name} cannot be written: it is a named pipe' in capsys.readouterr().err
    assert path.is_fifo()
