"""Damage: changes of bytes that know nothing of a format, and changes that know it."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SNIPPETS = (
    b'\xff' * 8,
    b'\0' * 8,
    struct.pack('<q', 2**62),
    struct.pack('<i', -1),
    b'[' * 3000,
    b'{"a":' * 2000,
    b'9' * 6000,
    b'\\ud800',
    b'\x1b[31m',
    '\u202e'.encode(),
    b'*a',
    b'&a ',
    b'!!binary ',
    b'NaN',
    b'$\\frac{',
    b'../../etc/passwd',
)
VALUES: tuple[Any, ...] = (
    float('nan'),
    float('inf'),
    -1,
    0,
    2**63 - 1,
    1e308,
    '\x1b[31m\u202e$_^',
    b'\xff\x00',
    [],
    None,
    {'a': 1},
    [[1], [2, 3]],
    True,
    '9' * 5000,
)
DTYPES = ('<f8', '>f4', '<i2', '|b1', '<c16', '<U4', '|S3', '<M8[s]', '<f2', 'V8', '|u1')


def damage_bytes(path: Path, dice: random.Random) -> None:
    """Change bytes anywhere: flip, overwrite, insert, remove, repeat, cut."""
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        if not content:
            break
        start = dice.randrange(len(content))
        length = dice.choice((1, 1, 2, 8, 64, 1000))
        kind = dice.randrange(7)
        if kind == 0:
            content[start] ^= 1 << dice.randrange(8)
        elif kind == 1:
            content[start : start + length] = dice.randbytes(min(length, len(content) - start))
        elif kind == 2:
            content[start:start] = dice.choice(SNIPPETS)
        elif kind == 3:
            del content[start : start + length]
        elif kind == 4:
            content[start:start] = content[start : start + length] * dice.choice((1, 50))
        elif kind == 5:
            snippet = dice.choice(SNIPPETS)[:8]
            content[start : start + len(snippet)] = snippet
        elif dice.random() < 0.2:
            del content[start:]
    path.write_bytes(content)


def damage_header(path: Path, dice: random.Random) -> None:
    """Change bytes near the beginning, where the structure of most formats lies."""
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 2, 8))):
        content[dice.randrange(min(len(content), 800))] = dice.randrange(256)
    path.write_bytes(content)


def damage_npz(path: Path, dice: random.Random) -> None:
    """Give members of an .npz other values, shapes, dtypes, names or headers."""
    with np.load(path) as file:
        members: dict[str, Any] = dict(file)
    for _ in range(dice.choice((1, 1, 2))):
        name = dice.choice(sorted(members))
        members[name] = damaged_array(members[name], dice)
        if dice.random() < 0.1:
            members[dice.choice(('\x1b[2J', 'a/../b', '$x', name + '\ud800'))] = members.pop(name)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, array in members.items():
            content = npy_bytes(array, dice)
            archive.writestr(name.encode('utf-8', 'replace').decode() + '.npy', content)


def npy_bytes(array: Any, dice: random.Random) -> bytes:
    """Return an array as the bytes of an .npy, its header sometimes another one's."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    if dice.random() > 0.1:
        return stream.getvalue()
    head, shape = io.BytesIO(), tuple(dice.choice((0, 1, 3, 2**20, 2**40)) for _ in range(2))
    header = {'descr': dice.choice(DTYPES), 'fortran_order': dice.random() < 0.5, 'shape': shape}
    np.lib.format.write_array_header_1_0(head, header)
    return head.getvalue() + stream.getvalue()[128:]


def damaged_array(array: Any, dice: random.Random) -> Any:
    """Return an array with other values, shape or dtype."""
    kind = dice.randrange(7)
    if kind == 0:
        return np.asarray(dice.choice([value for value in VALUES if value != [[1], [2, 3]]]))
    if kind == 1:
        return array[..., np.newaxis] if dice.random() < 0.5 else array.ravel()
    if kind == 2:
        return np.zeros(dice.choice(((0,), (3, 0), (1,), (2, 3, 4), (1000,))), array.dtype)
    if kind == 3 and array.dtype.kind in 'biuf' and array.size:
        changed = array.copy()
        with np.errstate(all='ignore'):
            value = np.array(dice.choice((np.nan, np.inf, -1.0, 1e300))).astype(array.dtype)
        changed.flat[dice.randrange(array.size)] = value
        return changed
    if kind == 4 and array.ndim:
        return np.repeat(array, 2, axis=dice.randrange(array.ndim))
    if kind == 5 and array.ndim:
        return array[: dice.randrange(len(array) + 1)]
    with np.errstate(all='ignore'):
        raw = np.frombuffer(array.tobytes() + bytes(16), np.uint8)
        try:
            return raw[: len(raw) // 16 * 16].view(dice.choice(DTYPES[:-2]))
        except ValueError:
            return raw


def damage_hdf5(path: Path, dice: random.Random) -> None:
    """Give datasets and attributes of an HDF5 file other values, shapes, dtypes or places."""
    with h5py.File(path, 'r+') as file:
        # Groups too: what lies in a group that another damage removed is skipped.
        names: list[str] = []
        file.visit(names.append)
        for name in dice.sample(sorted(names), dice.choice((1, 1, 2))):
            if name not in file:
                continue
            owner = dice.choice((file, file[name]))
            if dice.random() < 0.4 and len(owner.attrs):
                _damage_attribute(owner, dice)
            else:
                _damage_dataset(file, name, dice)


def _damage_attribute(owner: Any, dice: random.Random) -> None:
    name, value = dice.choice(sorted(owner.attrs)), dice.choice(VALUES)
    del owner.attrs[name]
    if dice.random() < 0.2:
        return
    try:
        owner.attrs[name] = owner.ref if dice.random() < 0.1 else value
    except (TypeError, ValueError):  # HDF5 has no such values
        owner.attrs[name] = 'text'


def _damage_dataset(file: Any, name: str, dice: random.Random) -> None:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        if dice.random() < 0.5:
            file[f'{name}/again'] = dice.choice((dataset, h5py.SoftLink('/'), file))
        return
    array, attributes = dataset[()], dict(dataset.attrs)
    del file[name]
    kind = dice.randrange(6)
    if kind == 0:
        return
    if kind == 1:
        file[name] = dice.choice(
            (h5py.SoftLink('/nothing'), h5py.SoftLink(name), h5py.ExternalLink('x.h5', name))
        )
        return
    if kind == 2:
        shape = tuple(dice.choice((0, 1, 5, 2**16)) for _ in range(dice.randrange(1, 4)))
        chunks = None if 0 in shape else True
        made = file.create_dataset(name, shape, array.dtype, chunks=chunks)
    elif kind == 3:
        made = file.create_dataset(name, (3,), dice.choice((h5py.ref_dtype, h5py.string_dtype())))
    else:
        changed = damaged_array(np.asarray(array), dice)
        try:
            made = file.create_dataset(name, data=changed)
        except (TypeError, ValueError, OSError):  # HDF5 has no such dtype
            made = file.create_group(name)
    if dice.random() < 0.9:
        made.attrs.update(attributes)


def damage_model(path: Path, dice: random.Random) -> None:
    """Give the header or the manifest of a model other values."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], 'little')
    head = json.loads(content[8 : 8 + length])
    plain = [value for value in VALUES if not isinstance(value, bytes)]
    fields = json.loads(head['__metadata__']['manifest'])
    place = dice.choice((fields, fields['model'], fields['training'], fields))
    place[dice.choice((*place, '\x1b[2J'))] = dice.choice(plain)
    head['__metadata__']['manifest'] = json.dumps(fields)
    if dice.random() < 0.3:
        tensor = head[dice.choice([name for name in head if name != '__metadata__'])]
        tensor[dice.choice(('dtype', 'shape', 'data_offsets'))] = dice.choice(
            ('F64', 'BF16', 'F8_E4M3', 'BOOL', [2**40], [0, 2**60], [-1, 5], [])
        )
    text = json.dumps(head).encode()
    if dice.random() < 0.1:
        text = text.replace(b'true', b'9' * 5000, 1)
    path.write_bytes(len(text).to_bytes(8, 'little') + text + content[8 + length :])


def damage_text(path: Path, dice: random.Random) -> None:
    """Put words of the language into other places."""
    lines = path.read_bytes().split(b'\n')
    for _ in range(dice.choice((1, 2, 3))):
        number = dice.randrange(len(lines))
        line = lines[number]
        marks = [i + 1 for i, one in enumerate(line) if one in b':={[']
        place = dice.choice([0, len(line), *marks])
        words = (*SNIPPETS, b': ', b'[', b'? ', b'<<: ', b'!!set ', b'!!omap ', b'0x' + b'f' * 9000)
        lines[number] = line[:place] + dice.choice(words) + line[place:]
        if dice.random() < 0.2:
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
    path.write_bytes(b'\n'.join(lines))


BY_ENDING: dict[str, tuple[Callable[[Path, random.Random], None], ...]] = {
    '.npz': (damage_bytes, damage_header, damage_npz, damage_npz),
    '.h5': (damage_bytes, damage_header, damage_hdf5, damage_hdf5),
    '.cxi': (damage_bytes, damage_header, damage_hdf5, damage_hdf5),
    '.csv': (damage_bytes, damage_text, damage_text),
    '.safetensors': (damage_bytes, damage_header, damage_model, damage_model),
    '.npy': (damage_bytes, damage_header),
    '.yaml': (damage_bytes, damage_text, damage_text),
    '.toml': (damage_bytes, damage_text, damage_text),
}
