"""Checks of paths before any work is done."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output, check_output_folder
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.regular_file import why_not_a_file


def check_writable(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Return a path that may be written later.

    Raises:
        UsageError: its ending or its folder will not do.
    """
    try:
        check_output(path, suffixes)
    except OutputError as error:
        raise UsageError(str(error)) from error
    return path


def check_folder(path: Path) -> Path:
    """Return a folder that may be made or written into later.

    Raises:
        UsageError: it cannot be made, or nothing can be written into it.
    """
    try:
        check_output_folder(path)
    except OutputError as error:
        raise UsageError(str(error)) from error
    return path


def check_exists(path: Path) -> Path:
    """Return a path that is there.

    Raises:
        UsageError: there is no such file, or it is a named pipe or a device.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise UsageError(f'{path} cannot be read: {error.strerror}') from error
    if not exists:
        raise UsageError(f'there is no file {path}')
    if fault := why_not_a_file(path):
        raise UsageError(fault)
    return path


def check_distinct(outputs: list[Path | None], inputs: list[Path]) -> None:
    """Refuse to write over a file that is read, or two results into one file.

    Files are compared, not their names: links and other spellings of a name are found too.

    Raises:
        UsageError: two of the names are the same file.
    """
    seen = list(inputs)
    for path in outputs:
        if path is None:
            continue
        if any(_is_same(path, other) for other in seen):
            raise UsageError(
                f'{path} is named twice, or is a file that is read; give the output a name of '
                'its own'
            )
        seen.append(path)


def _is_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
