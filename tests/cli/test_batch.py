"""`ptychopinn batch`, with an engine that computes nothing, and in processes with real ones."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.cli.batch import scan_list
from ptychopinn_plugin.cli.batch.processes import run_in_processes, share_of_threads
from ptychopinn_plugin.cli.batch.scan_worker import LogFile
from ptychopinn_plugin.cli.batch.tasks import ScanTask
from ptychopinn_plugin.cli.options import Batch
from ptychopinn_plugin.config import Backend, ExecutionConfig, InferenceConfig
from ptychopinn_plugin.errors import OutputError, ReconstructionError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.quality import MAPS, RINGS, Quality
from tests.cli.conftest import Outcome, Run
from tests.fake_engine import FakeEngine

NPZ = ('--file-type', 'npz', '--refine-iterations', 2)


class CountingEngine(FakeEngine):
    """Counts engines and reconstructions, and fails where it is told to."""

    made = 0
    runs = 0
    faulty = ''

    def __init__(self, execution: ExecutionConfig) -> None:
        super().__init__(execution)
        CountingEngine.made += 1

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        CountingEngine.runs += 1
        if self.faulty == 'stop':
            signal.raise_signal(signal.SIGINT)
        elif self.faulty:
            raise {'known': ReconstructionError, 'bug': IndexError}[self.faulty]('no numbers')
        return super().reconstruct(scan, inference, model, monitor)


@pytest.fixture
def counting(
    fake_engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> type[CountingEngine]:
    """Put the counting engine in the place of PyTorch's, and a short file in that of a picture."""
    assert issubclass(CountingEngine, fake_engine)
    monkeypatch.setattr('ptychopinn_plugin.api.engine_class', lambda _name: CountingEngine)
    monkeypatch.setattr('ptychopinn_plugin.cli.reconstruct_files.picture', write_picture)
    monkeypatch.setattr(CountingEngine, 'made', 0)
    monkeypatch.setattr(CountingEngine, 'runs', 0)
    return CountingEngine


def write_picture(_result: Reconstruction, path: Path, *, title: str) -> None:
    path.write_text(title)


@pytest.fixture
def scans(folder: Path) -> Path:
    """Return a folder with two scans, a damaged one, and a file that is no scan."""
    inputs = folder / 'scans'
    inputs.mkdir()
    for name in ('a', 'b'):
        shutil.copy(folder / 'scan.npz', inputs / f'{name}.npz')
    (inputs / 'damaged.npz').write_bytes((folder / 'scan.npz').read_bytes()[:3000])
    np.savez(inputs / 'probe.npz', probe=np.ones((4, 4)))
    (inputs / 'notes.md').write_text('a note')
    return inputs


def table(folder: Path, name: str = 'table.csv') -> dict[str, dict[str, str]]:
    with (folder / 'out' / name).open(newline='') as file:
        return {row['scan']: row for row in csv.DictReader(file)}


def written(folder: Path) -> set[str]:
    return {path.name for path in (folder / 'out').iterdir()}


def test_a_folder_of_scans_becomes_results_and_a_table(
    run: Run, folder: Path, scans: Path, counting: type[CountingEngine]
) -> None:
    shown = run('batch', 'scans', '--output', 'out', *NPZ)
    assert shown.code == 1
    assert '1 of 3 scans failed' in shown.err.splitlines()[-1]
    assert 'scans: left out, for they are no scans: probe.npz\n' in shown.err
    of_scans = {f'{name}.{end}' for name in 'ab' for end in ('npz', 'png', 'json', 'log')}
    assert written(folder) == of_scans | {'damaged.json', 'damaged.log', 'table.csv'}
    rows = table(folder)
    assert {name: row['result'] for name, row in rows.items()} == {
        'a': 'done',
        'b': 'done',
        'damaged': 'failed',
    }
    assert rows['a']['residual'] == '0.5'
    assert 'damaged.npz' in rows['damaged']['error']
    head = shown.out.splitlines()[0].split()
    assert head == ['scan', 'result', 'seconds', 'residual', 'resolution_px', 'resolution_nm']
    assert shown.out.splitlines()[-1] == 'table: out/table.csv'
    assert load_result(folder / 'out' / 'a.npz').iterations == 2
    assert 'refine_iterations: ' in (folder / 'out' / 'a.log').read_text()
    assert counting.made == 1
    assert counting.runs == 2


def test_what_is_done_is_left_out_and_what_has_changed_is_not(
    run: Run, folder: Path, scans: Path, counting: type[CountingEngine]
) -> None:
    words = ('batch', 'scans/a.npz', 'scans/b.npz', '--output', 'out', *NPZ)

    def reconstructed(*more: object) -> int:
        before = counting.runs
        shown = run(*words, *more)
        assert shown.code == 0, shown.err
        assert {row['result'] for row in table(folder).values()} == {'done'}
        return counting.runs - before

    assert reconstructed() == 2
    assert reconstructed() == 0
    assert reconstructed('--threads', 3, '--frames-in-memory', 'yes') == 0
    assert reconstructed('--momentum', 0.5) == 2
    assert reconstructed() == 2
    assert reconstructed('--flip-y') == 2
    assert reconstructed('--domain', 'amplitude') == 2
    reconstructed()
    os.utime(scans / 'a.npz', ns=(1, 1))
    assert reconstructed() == 1
    (folder / 'out' / 'b.npz').write_bytes(b'cut')
    assert reconstructed() == 1
    (folder / 'out' / 'a.png').unlink()
    (folder / 'out' / 'b.json').write_text('{"status": "done"}')
    assert reconstructed() == 2
    np.save(folder / 'mask.npy', np.zeros((64, 64), bool))
    assert reconstructed('--mask', 'mask.npy') == 2
    assert reconstructed('--mask', 'mask.npy') == 0


@pytest.mark.parametrize(('kind', 'word'), [('known', 'no numbers'), ('bug', 'IndexError')])
def test_a_fault_of_one_scan_is_in_its_row_and_retried(
    run: Run,
    folder: Path,
    scans: Path,
    counting: type[CountingEngine],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    word: str,
) -> None:
    words = ('batch', 'scans/a.npz', 'scans/b.npz', '--output', 'out', *NPZ)
    monkeypatch.setattr(counting, 'faulty', kind)
    shown = run(*words)
    assert shown.code == 1
    assert counting.runs == 2
    assert 'no numbers' in table(folder)['a']['error']
    assert word in (folder / 'out' / 'a.log').read_text()
    assert 'Traceback' not in shown.err + shown.out
    monkeypatch.setattr(counting, 'faulty', '')
    assert run(*words).code == 0
    assert counting.runs == 4


def test_ctrl_c_keeps_what_is_done(
    run: Run,
    folder: Path,
    scans: Path,
    counting: type[CountingEngine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run('batch', 'scans/a.npz', '--output', 'out', *NPZ).code == 0
    monkeypatch.setattr(counting, 'faulty', 'stop')
    words = ('batch', 'scans/a.npz', 'scans/b.npz', '--output', 'out', *NPZ)
    shown = run(*words)
    assert shown.code == 130
    assert 'interrupted (1 done, 1 not done)' in shown.err
    assert {row['result'] for row in table(folder).values()} == {'done', 'not done'}
    assert not (folder / 'out' / 'b.npz').exists()
    monkeypatch.setattr(counting, 'faulty', '')
    assert run(*words).code == 0


def test_warning_and_resolution_are_in_the_table(
    run: Run, folder: Path, counting: type[CountingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(self: CountingEngine, *rest: object) -> Reconstruction:
        found: Reconstruction = plain(self, *rest)  # type: ignore[arg-type]
        rings: dict[str, Any] = dict.fromkeys(('ring_frequency', *RINGS), np.array([0.1, 0.5]))
        shape = found.object_canvas.shape
        maps: dict[str, Any] = dict.fromkeys(MAPS, np.ones(shape, np.float32))
        quality = Quality(
            half_bit_limit=0.25,
            one_bit_limit=0.2,
            typical_phase_error=0.1,
            held_out=1.0,
            **rings,
            **maps,
        )
        warning = 'the probe is another one'
        return dataclasses.replace(
            found, quality=quality, warning=warning, pixel_size_m=(2e-8, 1e-8)
        )

    plain = counting.reconstruct
    monkeypatch.setattr(counting, 'reconstruct', warn)
    shown = run('batch', 'scan.npz', '--output', 'out', *NPZ)
    assert shown.code == 0
    row = table(folder)['scan']
    assert row['result'] == 'probably wrong'
    assert (row['resolution_px'], row['resolution_nm']) == ('2', '40')
    assert 'scan: the probe is another one' in shown.out


def test_a_list_names_scans_relative_to_itself(
    run: Run, folder: Path, scans: Path, counting: type[CountingEngine]
) -> None:
    (scans / 'list.txt').write_text('# two\na.npz\n\n  b.npz \na.npz\nnone.npz\n')
    shown = run('batch', 'scans/list.txt', '--output', 'out', *NPZ)
    assert shown.code == 1
    rows = table(folder)
    assert list(rows) == ['a', 'b', 'none']
    assert 'there is no file scans/none.npz' in rows['none']['error']


def test_parts_are_disjoint_and_the_last_call_finds_them_done(
    run: Run, folder: Path, scans: Path, counting: type[CountingEngine]
) -> None:
    (scans / 'damaged.npz').unlink()
    words = ('batch', 'scans', '--output', 'out', *NPZ)
    for part, name in (('1/2', 'a'), ('2/2', 'b')):
        assert run(*words, '--part', part).code == 0
        assert list(table(folder, f'table-{part[0]}-of-2.csv')) == [name]
    assert counting.runs == 2
    assert run(*words).code == 0
    assert list(table(folder)) == ['a', 'b']
    assert counting.runs == 2


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('batch scans --output out --part 3/2', 'there is no part 3 of 2'),
        ('batch scans --output out --jobs 0', '--jobs: input should be greater'),
        ('batch scans --output scans', 'scans has scans in it'),
        ('batch none --output out', 'there is no file none'),
        ('batch empty --output out', 'there is no scan in empty'),
        ('batch scans --output out --model none.safetensors', 'no file none.safetensors'),
        ('batch scans --output out --gridsize 2', 'gridsize'),
        ('batch scans --output out --cnn-refine-iterations 3', 'cnn_refine_iterations'),
        ('batch scans --output scan.npz', 'scan.npz is a file'),
    ],
)
@pytest.mark.usefixtures('counting', 'scans')
def test_wrong_usage_ends_before_anything_is_written(
    run: Run, folder: Path, words: str, message: str
) -> None:
    (folder / 'empty').mkdir()
    shown: Outcome = run(*words.split())
    assert (shown.code, shown.out) == (2, '')
    assert message in shown.err
    assert not (folder / 'out').exists()


def test_names_differ_whatever_the_paths(tmp_path: Path) -> None:
    paths = [tmp_path / one for one in ('x/a.npz', 'y/A.npz', 'y/sub/x.npz', 'x/a.h5', 'b.1.npz')]
    names = scan_list.result_names(paths)
    assert names == ['x-a', 'y-A', 'x', 'x-a-2', 'b.1']


def test_threads_are_divided_among_the_processes() -> None:
    execution = ExecutionConfig(threads=8)
    assert share_of_threads(execution, 1) is execution
    assert share_of_threads(execution, 3).threads == 2
    assert share_of_threads(execution, 20).threads == 1
    assert share_of_threads(ExecutionConfig(), 10_000).threads == 1


@pytest.mark.parametrize(
    'backend',
    [
        pytest.param('pytorch', marks=pytest.mark.pytorch),
        pytest.param('tensorflow', marks=[pytest.mark.tensorflow, pytest.mark.slow]),
    ],
)
def test_a_process_reconstructs_one_scan_after_the_other(folder: Path, backend: Backend) -> None:
    execution = ExecutionConfig(backend=backend, accelerator='cpu', threads=1)
    typed = {'backend': backend, 'accelerator': 'cpu', 'refine_iterations': 2, 'threads': 1}
    batch = Batch.model_validate({'scan': ['scan.npz'], 'output': folder, **typed})
    tasks = [ScanTask(name, folder / 'scan.npz', folder, 'npz') for name in ('a', 'b')]
    found = dict(run_in_processes(tasks, 1, batch, execution, lambda: False))
    assert {record.status for record in found.values()} == {'done'}, found
    first, second = (load_result(task.output) for task in tasks)
    np.testing.assert_array_equal(first.object_canvas, second.object_canvas)
    assert list(found) == tasks


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.pytorch
def test_processes_end_with_the_command_and_what_is_done_stays(folder: Path) -> None:
    process = start_batch(folder, names := ['a', 'b', 'c', 'd'])
    wait_for(lambda: list(folder.glob('out/*.json')))
    children = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    wait_for(lambda: not any(Path(f'/proc/{child}/cmdline').exists() for child in children))
    done = list(folder.glob('out/*.json'))
    assert len(done) < len(names)
    for path in done:
        assert json.loads(path.read_text())['status'] == 'done'
        assert load_result(path.with_suffix('.npz')).iterations == 60


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.pytorch
def test_a_killed_process_is_one_failed_scan_and_another_takes_its_place(folder: Path) -> None:
    process = start_batch(folder, names := ['a', 'b', 'c', 'd'])
    wait_for(lambda: list(folder.glob('out/*.json')))
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    _, shown = process.communicate(timeout=300)
    assert process.returncode == 1, shown
    rows = list(table(folder).values())
    failed = [row for row in rows if row['result'] == 'failed']
    assert len(failed) == 1
    assert 'ended by SIGKILL' in failed[0]['error']
    assert len(rows) == len(names)


def start_batch(folder: Path, names: list[str]) -> subprocess.Popen[str]:
    """Start the command on copies of the scan, in two processes."""
    for name in names:
        shutil.copy(folder / 'scan.npz', folder / f'{name}.npz')
    command = [sys.executable, '-m', 'ptychopinn_plugin', 'batch', *(f'{n}.npz' for n in names)]
    options = shlex.split(
        '--output out --jobs 2 --backend pytorch --file-type npz --threads 2 --refine-iterations 60'
    )
    return subprocess.Popen([*command, *options], cwd=folder, text=True, stderr=subprocess.PIPE)


def children_of(parent: int) -> list[int]:
    """Return the processes of a command that reconstruct: those that multiprocessing spawned."""
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            fields = (entry / 'stat').read_text().rpartition(')')[2].split()
            words = (entry / 'cmdline').read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b'spawn_main' in words:
            found.append(int(entry.name))
    assert found
    return sorted(found)


def wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.05)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full of Linux')
def test_lines_of_a_log_on_a_full_disk_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LogFile('/dev/full', mode='w')
    handler.emit(logging.LogRecord('a', logging.INFO, '', 0, 'a line', None, None))
    handler.close()
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('name', ['scan.log', 'scan.json', 'table.csv'])
def test_a_named_pipe_among_the_files_of_a_batch_is_a_plain_error(
    run: Run, folder: Path, counting: type[CountingEngine], name: str
) -> None:
    (folder / 'out').mkdir()
    os.mkfifo(folder / 'out' / name)
    shown = run('batch', 'scan.npz', '--output', 'out', *NPZ)
    assert shown.code == 1
    assert f'out/{name} cannot be written: it is a named pipe' in shown.err.splitlines()[-1]


def test_a_log_that_cannot_be_opened_is_a_plain_error(
    run: Run, folder: Path, counting: type[CountingEngine]
) -> None:
    (folder / 'out' / 'scan.log').mkdir(parents=True)
    shown = run('batch', 'scan.npz', '--output', 'out', *NPZ)
    assert (shown.code, counting.runs) == (1, 0)
    assert shown.err.splitlines()[-1].endswith('out/scan.log cannot be written: Is a directory')


@pytest.mark.slow
def test_files_that_a_process_cannot_write_are_a_plain_error(folder: Path) -> None:
    (folder / 'a.log').mkdir()
    batch = Batch.model_validate({'scan': ['scan.npz'], 'output': folder})
    tasks = [ScanTask('a', folder / 'scan.npz', folder, 'npz')]
    with pytest.raises(OutputError, match=r'a\.log cannot be written: Is a directory'):
        dict(run_in_processes(tasks, 1, batch, ExecutionConfig(), lambda: False))
