"""Checks of paths before any work is done."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.errors import OutputError


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


def check_exists(path: Path) -> Path:
    """Return a path that is there.

    Raises:
        UsageError: there is no such file.
    """
    if not path.exists():
        raise UsageError(f'there is no file {path}')
    return path


def check_distinct(outputs: list[Path | None], inputs: list[Path]) -> None:
    """Refuse to write over a file that is read, or two results into one file.

    Raises:
        UsageError: two of the names are the same file.
    """
    seen = {path.resolve(): path for path in inputs}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in seen:
            raise UsageError(f'{path} is named twice; give the output a name of its own')
        seen[path.resolve()] = path
