"""`watch` with programs that record a scan in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.api import reconstruct
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.live import LiveReconstruction
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import ScanData
from tests.conftest import shared_engine
from tests.helpers import make_scan
from tests.live import writers

SETTINGS = InferenceConfig(refine_iterations=2, estimate_errors=False, subsets=1)
FLAGS = ['--refine-iterations', '2', '--no-estimate-errors', '--subsets', '1', '--model', 'none']


@pytest.fixture
def scan(tmp_path: Path) -> ScanData:
    """Make a scan, with its frames for a writer and its probe as a file."""
    found = make_scan(side=10, step_px=4.0, photons=1e6, with_guess=False)
    counts = found.counts.astype(np.uint32)
    np.savez(tmp_path / 'recorded.npz', counts=counts, positions_px=found.positions_px)
    np.save(tmp_path / 'probe.npy', found.probe)
    return found


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., int]:
    """Give a function that runs the command in this process."""

    def run(source: str, positions: str, *words: str) -> int:
        typed = ['watch', tmp_path / source, '--positions', f'{tmp_path}/{positions}']
        typed += ['--probe', tmp_path / 'probe.npy', '--output', tmp_path / 'object.npz']
        return main([*map(str, typed), *FLAGS, *words])

    return run


@pytest.mark.pytorch
@pytest.mark.parametrize('name', ['probe.npz', 'probe.h5'])
def test_probes_of_all_formats_are_taken(
    watch: Callable[..., int],
    tmp_path: Path,
    scan: ScanData,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name.endswith('.h5'):
        save_ptychodus_pair(tmp_path / 'pair', scan)
        (tmp_path / 'pair' / 'product.h5').rename(tmp_path / name)
    else:
        np.savez(tmp_path / name, probeGuess=scan.probe)
    words = ('--probe', str(tmp_path / name), '--idle', '0.2', '--backend', 'pytorch')
    assert watch('scan.h5', 'positions.txt', *words) == 2
    assert 'no frame came' in capsys.readouterr().err


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60)


def check_result(path: Path, scan: ScanData, engine: Engine) -> None:
    """Check that a result is the batch reconstruction of a scan."""
    result = load_result(path)
    batch = reconstruct(scan, engine=engine, inference=SETTINGS, model=None)
    np.testing.assert_array_equal(result.positions_px, scan.positions_px)
    np.testing.assert_allclose(result.object_canvas, batch.object_canvas, atol=1e-4)


@pytest.mark.slow
def test_a_growing_file_is_followed_to_its_end(
    watch: Callable[..., int],
    tmp_path: Path,
    scan: ScanData,
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer = writers.start('swmr', tmp_path / 'recorded.npz', tmp_path / 'scan.h5')
    words = ('--every', '0.2', '--backend', engine.backend, '--accelerator', 'cpu')
    assert watch('scan.h5', f'scan.h5:{writers.POSITIONS}', *words) == 0
    assert ended(writer) == 0
    check_result(tmp_path / 'object.npz', scan, engine)
    shown = capsys.readouterr().err
    assert 'the scan ended, as the file was closed: 100 frames' in shown
    # A picture before the end.
    assert 'of them in the picture' in shown.partition('the scan ended')[0]


@pytest.mark.slow
@pytest.mark.pytorch
def test_a_virtual_dataset_is_followed_through_its_files(
    watch: Callable[..., int],
    tmp_path: Path,
    scan: ScanData,
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer = writers.start('virtual', tmp_path / 'recorded.npz', tmp_path / 'scan.h5')
    words = ('--every', '0.2', '--backend', 'pytorch', '--accelerator', 'cpu')
    assert watch('scan.h5', 'positions.npy', *words) == 0
    assert ended(writer) == 0
    check_result(tmp_path / 'object.npz', scan, shared_engine('pytorch'))
    assert 'the file was closed: 100 frames' in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_of_files_in_any_order_is_followed_until_all_came(
    watch: Callable[..., int], tmp_path: Path, scan: ScanData, engine: Engine
) -> None:
    writer = writers.start('folder', tmp_path / 'recorded.npz', tmp_path / 'frames')
    words = ('--expected', '100', '--picture', str(tmp_path / 'object.png'))
    backend = ('--backend', engine.backend, '--accelerator', 'cpu')
    assert watch('frames', 'positions.txt', *words, *backend) == 0
    assert ended(writer) == 0
    check_result(tmp_path / 'object.npz', scan, engine)
    assert (tmp_path / 'object.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.pytorch
def test_a_writer_that_was_killed_is_an_error_and_its_frames_are_kept(
    watch: Callable[..., int], tmp_path: Path, scan: ScanData, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = writers.start('swmr', tmp_path / 'recorded.npz', tmp_path / 'scan.h5', 'kill', 'hurry')
    words = ('--idle', '1.5', '--backend', 'pytorch')
    assert watch('scan.h5', f'scan.h5:{writers.POSITIONS}', *words) == 2
    assert ended(writer) == -signal.SIGKILL
    shown = capsys.readouterr().err
    assert 'has not grown for 1.5 s and was not closed' in shown
    result = load_result(tmp_path / 'object.npz')
    count = len(result.positions_px)
    assert 16 <= count < scan.frame_count
    assert f'the result has the {count} frames before' in shown
    np.testing.assert_array_equal(result.positions_px, scan.positions_px[:count])


@pytest.mark.pytorch
def test_ctrl_c_ends_the_scan_and_the_result_is_written(
    watch: Callable[..., int], tmp_path: Path, scan: ScanData
) -> None:
    writer = writers.start('folder', tmp_path / 'recorded.npz', tmp_path / 'frames', 'hurry')

    def press() -> None:
        ended(writer)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    assert watch('frames', 'positions.txt', '--idle', '100', '--backend', 'pytorch') == 0
    assert len(load_result(tmp_path / 'object.npz').positions_px) == scan.frame_count


@pytest.mark.pytorch
def test_a_second_ctrl_c_keeps_the_live_result(
    watch: Callable[..., int],
    tmp_path: Path,
    scan: ScanData,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def press(_live: LiveReconstruction, monitor: Monitor) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert monitor.should_stop()
        raise Cancelled('stopped on request')

    monkeypatch.setattr(LiveReconstruction, 'finish', press)
    (tmp_path / 'frames').mkdir()
    np.save(tmp_path / 'frames' / 'all_0.npy', scan.counts)
    np.save(tmp_path / 'positions.npy', scan.positions_px)
    words = ('--frames-per-file', '100', '--idle', '2', '--backend', 'pytorch')
    assert watch('frames', 'positions.npy', *words) == 130
    assert f'{tmp_path / "object.npz"} has the result of the live passes' in capsys.readouterr().err
    result = load_result(tmp_path / 'object.npz')
    assert len(result.positions_px) == scan.frame_count
    assert result.remarks == ('live, 100 frames so far',)
    assert 'refine_iterations = 2' in result.settings


@pytest.mark.pytorch
def test_a_scan_that_never_begins_is_an_error(
    watch: Callable[..., int], tmp_path: Path, scan: ScanData, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch('scan.h5', 'positions.txt', '--idle', '0.2', '--backend', 'pytorch') == 2
    assert f'there is no file {tmp_path / "scan.h5"}' in capsys.readouterr().err
    assert watch('frames', 'positions.txt', '--idle', '0.2', '--backend', 'pytorch') == 2
    assert f'there is no folder {tmp_path / "frames"}' in capsys.readouterr().err
    assert not (tmp_path / 'object.npz').exists()


def test_wrong_usage_is_said_at_once(
    watch: Callable[..., int], tmp_path: Path, scan: ScanData, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch('scan.h5', 'positions.txt', '--unit', 'um') == 2
    assert '--unit um needs --pixel-size-m' in capsys.readouterr().err
    assert watch('scan.h5', 'positions.h5') == 2
    assert 'or a dataset of an HDF5 file' in capsys.readouterr().err
    assert watch('object.npz', 'positions.txt') == 2
    assert 'is named twice' in capsys.readouterr().err
    (tmp_path / 'probe.npy').unlink()
    assert watch('scan.h5', 'positions.txt') == 2
    assert 'there is no file' in capsys.readouterr().err
