"""What is printed in the worker, by whomever, damages no message."""

import logging
from pathlib import Path

import pytest

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.worker.conftest import toy_engine
from tests.worker.helpers import INFERENCE, eventually, quiet_scan

# Python imports it before anything else, as sites use it for modules and licences.
NOISE = {
    'a print': "print('a module is loaded', flush=True)",
    'a print without end': "print('a module is loaded', end='', flush=True)",
    'bytes': "import os; os.write(1, bytes(range(256)) * 100 + b'a module is loaded\\n')",
    'much': "print('a module is loaded ' * 50_000)",
    'a program that stays': (
        "import subprocess; subprocess.Popen('sleep 0.3; echo a module is loaded', shell=True)"
    ),
    'a thread': (
        'import threading, time\n'
        'def noise():\n'
        '    for _ in range(100):\n'
        "        print('a module is loaded', flush=True)\n"
        '        time.sleep(0.01)\n'
        'threading.Thread(target=noise, daemon=True).start()'
    ),
    'a question': "import sys; sys.stdin.read(); print('a module is loaded')",
}


def with_noise(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteEngine:
    (folder / 'sitecustomize.py').write_text(NOISE[kind])
    monkeypatch.syspath_prepend(folder)  # the worker gets this process' sys.path
    return toy_engine()


@pytest.mark.parametrize('kind', NOISE)
def test_noise_at_the_start_of_python_goes_to_the_log(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, 'ptychopinn_plugin')
    with with_noise(kind, tmp_path, monkeypatch) as remote:
        result = remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
        assert result.probe.tobytes() == quiet_scan().probe.tobytes()
        if kind == 'a print without end':
            remote.close()
        assert eventually(lambda: 'a module is loaded' in caplog.text, 5)


@pytest.fixture
def standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start workers as on a system where a process inherits neither pipes nor memory."""
    monkeypatch.setattr('ptychopinn_plugin.worker.process_pipes.INHERITS_PIPES', False)
    monkeypatch.setattr('ptychopinn_plugin.worker.shared_memory.SharedMemory.create', lambda: None)


@pytest.mark.usefixtures('standard_streams')
def test_on_standard_streams_the_error_quotes_the_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        with_noise('a print', tmp_path, monkeypatch) as remote,
        pytest.raises(WorkerError, match=r'damaged.*a module is loaded'),
    ):
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())


@pytest.mark.usefixtures('standard_streams')
def test_a_worker_works_on_standard_streams_where_it_inherits_no_pipes() -> None:
    with toy_engine() as remote:
        for _ in range(2):
            result = remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
        assert result.stages[0] == 'engine 1'
