"""Every hostile file is refused with one short sentence, in little time and memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.errors import (
    ConfigError,
    ModelFileError,
    PtychoPINNError,
    ResultFileError,
    ScanDataError,
)
from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.settings.config_file import read_file
from tests.corpus.hostile_files import HOSTILE, write_result, write_scan
from tests.fuzz.cases import MOST_BYTES, MOST_SECONDS, control_characters, highest_memory

READERS: dict[str, tuple[Callable[[Path], object], type[PtychoPINNError]]] = {
    's.npz': (load_scan, ScanDataError),
    'r.npz': (load_result, ResultFileError),
    'p.h5': (load_result, ResultFileError),
    'm.safetensors': (load_model, ModelFileError),
    'c.yaml': (read_file, ConfigError),
    'c.toml': (read_file, ConfigError),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    hostile = HOSTILE[name]
    path = tmp_path / hostile.file
    hostile.write(path)
    read, error = READERS[hostile.file]
    before, began = highest_memory(), time.perf_counter()
    with pytest.raises(error) as caught:
        read(path)
    assert time.perf_counter() - began < MOST_SECONDS
    assert highest_memory() - before < MOST_BYTES / 4
    text = str(caught.value)
    assert re.search(hostile.words, text, re.DOTALL), text
    assert not control_characters(text)
    # Several faults are a list.
    assert all(line.startswith('- ') for line in text.split('\n')[1:])
    assert len(text) < 2000


def test_a_command_prints_no_control_characters(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for file, name in (('s.npz', 'escapes in names'), ('m.safetensors', 'an index of packages')):
        HOSTILE[name].write(tmp_path / file)
    assert main(['check', str(tmp_path / 's.npz')]) == 2
    assert main(['inspect', str(tmp_path / 'm.safetensors')]) == 2
    printed = ''.join(capfd.readouterr())
    assert not control_characters(printed)
    assert 'index-url' not in printed


def test_links_within_a_folder_are_followed(tmp_path: Path) -> None:
    import h5py

    from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
    from tests.helpers import make_scan

    scan = make_scan(side=3, frame_size=8, step_px=2.0)
    save_ptychodus_pair(tmp_path, scan)
    (tmp_path / 'diffraction.h5').rename(tmp_path / 'frames.h5')
    with h5py.File(tmp_path / 'diffraction.h5', 'w') as file:
        for name in ('patterns', 'indexes', 'bad_pixels'):
            file[name] = h5py.ExternalLink('frames.h5', name)
    assert load_scan(tmp_path).frame_count == scan.frame_count


def test_what_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopinn_plugin.io import free_memory

    write_scan(tmp_path / 's.npz')
    write_result(tmp_path / 'r.npz')
    monkeypatch.setattr(free_memory, 'free_memory', lambda: 100.0)
    for read, file in ((load_scan, 's.npz'), (load_result, 'r.npz')):
        with pytest.raises(PtychoPINNError, match='needs 0 MiB of memory'):
            read(tmp_path / file)


@pytest.mark.parametrize('name', [r'$\frac{$', '_a$b'])
def test_dollars_in_a_result_are_drawn(tmp_path: Path, name: str) -> None:
    from ptychopinn_plugin.plotting import picture

    path = tmp_path / 'r.npz'
    write_result(
        path, stages=np.array([name] * 4), residual_name=np.array(name), warning=np.array(name)
    )
    picture(load_result(path), tmp_path / 'r.png', title=f'{name}.npz')
    assert (tmp_path / 'r.png').stat().st_size > 1000
