"""Readers, and sound files of theirs to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ptychopinn_plugin.cli.commands.inspect import model_lines
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.model_file import load_model, save_model
from ptychopinn_plugin.io.npz_arrays import given_probe
from ptychopinn_plugin.io.npz_reconstruction import save_npz_reconstruction
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.settings.config_file import read_file
from tests.helpers import make_scan
from tests.io.instrument_files import (
    GEOMETRY,
    WHOLE_SCANS,
    instrument_scan,
    write_csv,
    write_cxi,
    write_hdf5,
)
from tests.io.result_examples import known_reconstruction
from tests.io.test_model_file import small_model

SETTINGS = """
epochs: 3
model: {architecture: "cn\\x6e"}
training:
  nphotons: 1.0e+9
  batch_size: 0x10
execution: {accelerator: cpu, learning-rate: .5}
"""
TABLES = """
epochs = 3
[model]
architecture = "cnn"
[training]
nphotons = 1e9
batch_size = 0x10
"""


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes:
        file: name of the file that is damaged.
        write: writes a sound file of this name, and what belongs to it, into a folder.
        read: reads it; what it returns is text that would be shown, if there is any.
    """

    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], object]


def _scan(path: Path) -> object:
    read_frame_size(path)
    return load_scan(path).decisions


def _pair(path: Path) -> None:
    save_ptychodus_pair(path.parent, make_scan(side=3, frame_size=8, step_px=2.0))


def _cxi(path: Path) -> None:
    write_cxi(path, instrument_scan())


def _instrument(path: Path) -> None:
    write_hdf5(path, WHOLE_SCANS[0].content(instrument_scan()))


def _scan_with_positions(path: Path) -> object:
    return load_scan(path, needs_probe=False, **GEOMETRY).decisions


def _with_frames(path: Path) -> None:
    write_csv(path, instrument_scan())
    np.save(path.with_name('f.npy'), instrument_scan().counts.astype(np.uint16))


def _positions(path: Path) -> object:
    frames = path.with_name('f.npy')
    return load_scan(frames, positions=str(path), needs_probe=False, **GEOMETRY).decisions


def _result(path: Path) -> object:
    result = load_result(path)
    return (*result.remarks, result.warning, result.model_name)


def _write_result(path: Path) -> None:
    scan, result = known_reconstruction()
    save_reconstruction(path, result, scan)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text)


TARGETS = {
    'scan': Target(
        's.npz', lambda path: save_npz(path, make_scan(side=3, frame_size=8, step_px=2.0)), _scan
    ),
    'compressed scan': Target(
        's.npz',
        lambda path: np.savez_compressed(
            path,
            diff3d=np.ones((9, 8, 8), np.uint16),
            xcoords=np.arange(9.0),
            ycoords=np.arange(9.0) % 3,
            probeGuess=np.ones((8, 8), np.complex128),
            bad_pixels=np.zeros((8, 8), np.bool_),
            _metadata=np.array('{"a": {"nphotons": 64.0}}'),
        ),
        _scan,
    ),
    'diffraction file': Target('diffraction.h5', _pair, _scan),
    'product': Target('product.h5', _pair, _scan),
    'CXI file': Target('s.cxi', _cxi, _scan),
    'file of an instrument': Target('s.h5', _instrument, _scan_with_positions),
    'positions': Target('p.csv', _with_frames, _positions),
    'result': Target(
        'r.npz', lambda path: save_npz_reconstruction(path, known_reconstruction()[1]), _result
    ),
    'product as result': Target('r.h5', _write_result, _result),
    'model': Target(
        'm.safetensors',
        lambda path: save_model(path, small_model()),
        lambda path: model_lines(load_model(path)),
    ),
    'probe': Target(
        'p.npy',
        lambda path: np.save(path, np.ones((2, 8, 8), np.complex64)),
        lambda path: given_probe(path, []),
    ),
    'yaml': Target(
        'c.yaml',
        partial(_write_text, SETTINGS),
        lambda path: read_file(path, 'model', 'training', 'execution'),
    ),
    'toml': Target(
        'c.toml',
        partial(_write_text, TABLES),
        lambda path: read_file(path, 'model', 'training', 'execution'),
    ),
}
