"""The readers of Ptychodus for files of instruments, by the names that it gives their types."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import h5py
from ptychodus.api.plugins import PluginRegistry

from ptychopinn_plugin.errors import ScanDataError, printable_line
from ptychopinn_plugin.io.hdf5_tree import tree_faults
from ptychopinn_plugin.io.reading_errors import reading

Kind: TypeAlias = Literal['diffraction', 'positions', 'probe', 'product']

# Names of the registry's tables.
_TABLES: dict[Kind, str] = {
    'diffraction': 'diffraction_file_readers',
    'positions': 'probe_position_file_readers',
    'probe': 'probe_file_readers',
    'product': 'product_file_readers',
}
# The option of `load_scan` that names a type.
_OPTIONS: dict[Kind, str] = {
    'diffraction': 'load_scan(diffraction_type=...)',
    'positions': 'load_scan(positions=...) as FILE:TYPE',
    'probe': '',
    'product': '',
}
_NOUNS: dict[Kind, str] = {
    'diffraction': 'frames',
    'positions': 'positions',
    'probe': 'probe',
    'product': 'product',
}
# Types whose files have their frames at /entry/data/data and need nothing else there, so that
# their readers take those of each other and of any NeXus file.
_ANY_NEXUS = {
    'APS_2IDD', 'APS_2IDE', 'APS_BNP', 'APS_ISN', 'APS_LamNI', 'APS_PtychoSAXS', 'CNM_APS_HXN'
}  # fmt: skip
_HDF5_ENDINGS = {'.h5', '.hdf5', '.hdf', '.cxi', '.mat'}


@dataclass(frozen=True)
class FileReader:
    """One reader of Ptychodus.

    Attributes:
        name: of the type, as Ptychodus' settings have it.
        title: of the type, as its window shows it.
        endings: of the files, lower case.
        read: reads a file.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    read: Callable[[Path], Any]


@dataclass(frozen=True)
class ReadFile:
    """The content of a file.

    Attributes:
        type_name: of the file.
        content: what the reader returned.
        is_named: whether the type was named and not found from the file.
    """

    type_name: str
    content: Any
    is_named: bool = False


@dataclass
class _Attempts:
    """What came of readers that were tried, by the names of their types.

    Attributes:
        contents: what they returned.
        reasons: why others did not take the file.
    """

    contents: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@functools.cache
def load_registry() -> PluginRegistry:
    """Return the tables of readers, those of packages that extend Ptychodus included."""
    with collected_remarks():
        return PluginRegistry.load_plugins()


def readers(kind: Kind) -> list[FileReader]:
    """Return the readers of files of a kind, in the order of their names."""
    plugins = [
        FileReader(
            plugin.simple_name,
            plugin.display_name,
            tuple(re.findall(r'\*(\.\w+)', plugin.display_name)),
            plugin.strategy.read,
        )
        for plugin in getattr(load_registry(), _TABLES[kind])
    ]
    return sorted(plugins, key=lambda reader: reader.name.casefold())


def read_file(
    kind: Kind,
    path: Path,
    type_name: str | None = None,
    *,
    related: str = '',
    external_files: bool = False,
) -> ReadFile:
    """Read a file with the reader of its type.

    Args:
        kind: of the file.
        path: the file.
        type_name: Ptychodus' name of the type, without regard to capital letters; None to find it:
            the type whose reader takes the file, if it is the only one.
        related: type of the scan's frames, whose instrument a type is taken from where several
            readers take the file.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: there is no such type, no reader takes the file, or several do.
    """
    check_file(path, external_files=external_files)
    if type_name is not None:
        return _read_as(kind, path, type_name)
    candidates = readers_of(kind, path)
    tried = _attempt(candidates, path)
    if not tried.contents and h5py.is_hdf5(path):
        # The ending may be another one, such as .nxs.
        candidates = readers_of_hdf5(kind)
        tried = _attempt(candidates, path)
    if not tried.contents:
        raise _refusal(_no_reader(kind, path, tried.reasons))
    name = _only_type(list(tried.contents), candidates, related)
    if name is None:
        raise _refusal(
            f'{path} may be of the types {", ".join(sorted(tried.contents))} of Ptychodus; name '
            f'the one that it is with {_OPTIONS[kind]}'
        )
    # Once more: a reader may keep what another one of the same instrument needs.
    return ReadFile(name, _read_as(kind, path, name).content)


def readers_of(kind: Kind, path: Path) -> list[FileReader]:
    """Return the readers for the ending of a file's name."""
    return [reader for reader in readers(kind) if path.suffix.lower() in reader.endings]


def readers_of_hdf5(kind: Kind) -> list[FileReader]:
    """Return the readers for HDF5 files of any ending."""
    return [reader for reader in readers(kind) if _HDF5_ENDINGS.intersection(reader.endings)]


def type_names(kind: Kind) -> str:
    """Return the names of all types of a kind, as text."""
    return ', '.join(reader.name for reader in readers(kind))


def check_file(path: Path, *, external_files: bool = False) -> None:
    """Refuse a file that is not there, or that no reader may walk through.

    Args:
        path: the file.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: with the reasons.
    """
    if not path.is_file():
        raise _refusal(f'there is no file {path}')
    if h5py.is_hdf5(path) and (faults := tree_faults(path, external_files=external_files)):
        raise ScanDataError(faults)


@contextmanager
def collected_remarks() -> Iterator[list[str]]:
    """Keep what Ptychodus logs as warnings and errors from the screen; yield it, a line each."""
    remarks: list[str] = []
    logger, handler = logging.getLogger('ptychodus'), _Collector(remarks)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        # Neither are warnings of the libraries that readers use for those who run them.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield remarks
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class _Collector(logging.Handler):
    """Keeps the text of log records."""

    def __init__(self, remarks: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._remarks = remarks

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self._remarks.append(printable_line(record.getMessage(), 200))


def _read_as(kind: Kind, path: Path, type_name: str) -> ReadFile:
    wanted = type_name.casefold()
    named = [one for one in readers(kind) if wanted in (one.name.casefold(), one.title.casefold())]
    if not named:
        raise _refusal(
            f'Ptychodus has no type {type_name!r} of files with {_NOUNS[kind]}; it has '
            f'{type_names(kind)}'
        )
    tried = _attempt(named[:1], path)
    if not tried.contents:
        raise _refusal(f'{path} cannot be read as {named[0].name}: {tried.reasons[named[0].name]}')
    return ReadFile(named[0].name, tried.contents[named[0].name], is_named=True)


def _attempt(candidates: list[FileReader], path: Path) -> _Attempts:
    """Read a file with several readers."""
    tried = _Attempts()
    for reader in candidates:
        try:
            with collected_remarks() as remarks, reading(_refusal, 'no'):
                content = reader.read(path)
        except ScanDataError as error:
            tried.reasons[reader.name] = error.faults[0].removeprefix('no ').strip('()')
        else:
            if hasattr(content, '__len__') and not len(content):
                tried.reasons[reader.name] = '; '.join(remarks[:1]) or 'it holds nothing'
            else:
                tried.contents[reader.name] = content
    return tried


def _refusal(text: str) -> ScanDataError:
    return ScanDataError([text])


def _only_type(names: list[str], candidates: list[FileReader], related: str) -> str | None:
    """Return the one type that a file is of, None where it may be several."""
    if related in names:
        return related
    particular = [name for name in names if name not in _ANY_NEXUS] or names
    first, *others = [one for one in candidates if one.name in particular]
    # Types of several instruments may have one reader; the shortest name is that of the format.
    if all(one.read == first.read for one in others):
        return min(particular, key=len)
    return None


def _no_reader(kind: Kind, path: Path, reasons: dict[str, str]) -> str:
    """Return why no reader takes a file."""
    if not reasons:
        return (
            f'Ptychodus reads no {_NOUNS[kind]} from files as {path.name}; its types are '
            f'{type_names(kind)}'
        )
    if len(reasons) == 1:
        ((name, reason),) = reasons.items()
        return f'{path} cannot be read as {name}: {reason}'
    return (
        f'{path} has no {_NOUNS[kind]} where Ptychodus has them in files of this ending '
        f'({", ".join(reasons)}); {_OPTIONS[kind]} says what is missing in it for one type'
    )
