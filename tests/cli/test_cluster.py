"""`ptychopinn batch --parsl`: the same batch by Parsl's workers, here on this machine."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.cli.batch import cluster
from ptychopinn_plugin.io.result_files import load_result
from tests.cli.conftest import Run

pytest.importorskip('parsl')

THREADS = """
from parsl.config import Config
from parsl.executors import ThreadPoolExecutor

config = Config(
    executors=[ThreadPoolExecutor(max_threads=1)], initialize_logging=False, run_dir='parsl'
)
"""
PROCESSES = """
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address='127.0.0.1',
            max_workers_per_node=1,
            encrypted=False,
            provider=LocalProvider(init_blocks=1, max_blocks=1),
        )
    ],
    strategy='none',
)
"""
PHYSICS = ('--model', 'none', '--file-type', 'npz')
# What libraries of Parsl warn of is none of this package.
pytestmark = pytest.mark.filterwarnings('default')


@pytest.fixture
def scans(folder: Path) -> Path:
    """Return the folder that commands run in, with two scans, a damaged one and a list of them."""
    for name in ('a', 'b'):
        (folder / f'{name}.npz').write_bytes((folder / 'scan.npz').read_bytes())
    (folder / 'damaged.npz').write_bytes(b'PK')
    (folder / 'list.txt').write_text('a.npz\nb.npz\ndamaged.npz\n')
    (folder / 'site.py').write_text(THREADS)
    return folder


@pytest.mark.usefixtures('fake_engine')
def test_all_scans_are_reconstructed_and_what_is_done_is_left_out(run: Run, scans: Path) -> None:
    words = ('batch', 'list.txt', '--output', 'results', '--parsl', 'site.py', *PHYSICS)
    shown = run(*words)
    assert shown.code == 1
    assert '1 of 3 scans failed' in shown.err
    assert sorted(path.name for path in (scans / 'results').glob('*.npz')) == ['a.npz', 'b.npz']
    before = (scans / 'results/a.npz').stat().st_mtime_ns
    (scans / 'damaged.npz').write_bytes((scans / 'scan.npz').read_bytes())
    shown = run(*words)
    assert shown.code == 0, shown.err
    assert (scans / 'results/a.npz').stat().st_mtime_ns == before
    # The same as without a cluster, record and all.
    assert '3 of 3 scans are done already' in run(*words[:4], *PHYSICS).err


@pytest.mark.usefixtures('fake_engine')
def test_a_worker_that_is_lost_is_one_scan_that_failed(
    run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconstruct = cluster.reconstruct_on_node

    def lose_one(flags: str, settings: str, task: object, place: str) -> object:
        if getattr(task, 'name', '') == 'a':
            raise RuntimeError('the node is gone')
        return reconstruct(flags, settings, task, place)  # type: ignore[arg-type]

    monkeypatch.setattr(cluster, 'reconstruct_on_node', lose_one)
    shown = run('batch', 'a.npz', 'b.npz', '--output', 'r', '--parsl', 'site.py', *PHYSICS)
    assert shown.code == 1
    record = json.loads((scans / 'r/a.json').read_text())
    assert 'lost or failed (the node is gone)' in record['error']
    assert (scans / 'r/b.npz').exists()


@pytest.mark.usefixtures('fake_engine')
def test_defaults_reach_the_workers(run: Run, scans: Path) -> None:
    shown = run('batch', 'a.npz', '--output', 'r', '--parsl', 'site.py')
    assert shown.code == 0, shown.err
    assert (scans / 'r/a.h5').exists()


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('config = 3', 'must give a variable'),
        ('import nothing_of_the_kind', 'cannot be run (No module named'),
        ('1 +', 'cannot be run'),
    ],
)
@pytest.mark.usefixtures('fake_engine')
def test_a_configuration_that_is_none(run: Run, scans: Path, content: str, said: str) -> None:
    (scans / 'site.py').write_text(content)
    shown = run('batch', 'a.npz', '--output', 'r', '--parsl', 'site.py', *PHYSICS)
    assert shown.code == 2
    assert said in shown.err


def test_configurations_of_the_page_are_those_of_parsl(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / 'docs/many-scans.md').read_text()
    found = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    assert len(found) == 2
    for code in found:
        (tmp_path / 'site.py').write_text(code)
        (executor,) = cluster.load_config(tmp_path / 'site.py').executors
        assert 'worker_init' in code
        assert executor.label == 'cards'


@pytest.mark.usefixtures('fake_engine')
def test_flags_that_do_not_go_together(
    run: Run, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ('batch', 'a.npz', '--output', 'r', '--parsl', 'site.py', *PHYSICS)
    shown = run(*words, '--jobs', 2)
    assert shown.code == 2
    assert '--jobs are processes of this machine' in shown.err
    monkeypatch.setattr(cluster, 'find_spec', lambda name: None)
    shown = run(*words)
    assert shown.code == 1
    assert "pip install 'ptychopinn-plugin[cluster]'" in shown.err


def start(scans: Path, *words: object) -> subprocess.Popen[str]:
    """Start a batch as a program of its own: Parsl leaves its log open until the end."""
    (scans / 'site.py').write_text(PROCESSES)
    command = (sys.executable, '-m', 'ptychopinn_plugin', 'batch', 'a.npz', 'b.npz')
    return subprocess.Popen(
        [*command, '--parsl', 'site.py', *map(str, words)],
        cwd=scans,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.pytorch
def test_processes_of_parsl_give_the_result_of_this_process(run: Run, scans: Path) -> None:
    settings = ('--model', 'none', '--refine-iterations', 2, '--backend', 'pytorch', '--threads', 1)
    program = start(scans, '--output', 'far', '--file-type', 'npz', *settings)
    said, _ = program.communicate(timeout=120)
    assert program.returncode == 0, said
    alone = run('reconstruct', 'a.npz', '--output', 'near.npz', *settings)
    assert alone.code == 0, alone.err
    near, far = load_result('near.npz'), load_result('far/a.npz')
    np.testing.assert_array_equal(near.object_canvas, far.object_canvas)


@pytest.mark.slow
@pytest.mark.pytorch
def test_a_stop_ends_the_workers(scans: Path) -> None:
    settings = ('--model', 'none', '--refine-iterations', 9999, '--backend', 'pytorch')
    program = start(scans, '--output', 'r', *settings)
    deadline = time.monotonic() + 60
    while not (scans / 'r/a.log').exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    program.send_signal(signal.SIGTERM)
    said, _ = program.communicate(timeout=60)
    assert program.returncode == 130, said
    assert 'interrupted' in said
    assert not (scans / 'r/a.h5').exists()
