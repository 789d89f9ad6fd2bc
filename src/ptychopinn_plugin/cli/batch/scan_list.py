"""The scans that `batch` is to reconstruct, and the names of their results."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ptychopinn_plugin.cli.paths import check_exists
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.io.formats import find_format, scans_in_folder

logger = logging.getLogger(__name__)

LIST_ENDING = '.txt'
COMMENT = '#'


def find_scans(paths: Iterable[Path]) -> list[Path]:
    """Return the scans that are typed, listed or in a folder, each once.

    Args:
        paths: scans; folders, see `scans_in_folder`; .txt files with a path a line, relative to the
            folder of the list, lines that begin with # left out.

    Raises:
        UsageError: a typed path is not there, a list cannot be read, or there is no scan at all.
        ScanDataError: a folder cannot be read.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        check_exists(path)
        for scan in _scans_of(path):
            found.setdefault(scan.resolve(), scan)
    if not found:
        named = ', '.join(map(str, paths))
        raise UsageError(
            f'there is no scan in {named}; name .npz scans, folders with diffraction.h5 and '
            'product.h5, folders of these, or .txt lists of their paths'
        )
    return list(found.values())


def result_names(scans: Sequence[Path]) -> list[str]:
    """Return a name for each scan, all different also where capital letters are not.

    The name of the file without its ending, or of the folder; where two have the same, that of the
    folder above before it, and then a number.
    """
    names = [scan.resolve().name if scan.is_dir() else scan.stem for scan in scans]
    counts = Counter(name.lower() for name in names)
    names = [
        f'{scan.resolve().parent.name}-{name}' if counts[name.lower()] > 1 else name
        for name, scan in zip(names, scans, strict=True)
    ]
    used: set[str] = set()
    for index, name in enumerate(names):
        number = 1
        while names[index].lower() in used:
            number += 1
            names[index] = f'{name}-{number}'
        used.add(names[index].lower())
    return names


def _scans_of(path: Path) -> Iterable[Path]:
    if path.is_dir():
        found = scans_in_folder(path)
        _log_left_out(path, found)
        return found
    return _listed(path) if path.suffix.lower() == LIST_ENDING else (path,)


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'the list {path} cannot be read as text: {error}') from error
    words = [line.strip() for line in lines]
    return [path.parent / word for word in words if word and not word.startswith(COMMENT)]


def _log_left_out(folder: Path, found: Sequence[Path]) -> None:
    """Name the files of a folder that could be taken for scans by their kind, but are none."""
    if tuple(found) == (folder,):
        return
    files = [entry for entry in sorted(folder.iterdir()) if entry.is_file()]
    left_out = [file.name for file in files if file not in found and find_format(file)]
    if left_out:
        logger.info('%s: left out, for they are no scans: %s', folder, ', '.join(left_out))
