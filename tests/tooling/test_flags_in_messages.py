"""Messages name a flag only where there are flags: in the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import ptychopinn_plugin

PACKAGE = Path(ptychopinn_plugin.__file__).parent
# These run other programs, are programs, or translate an old command line.
WITH_FLAGS = (
    'cli',
    'worker',
    'config/legacy_names.py',
    'fixture/sidecar.py',
    'hosts/ptychodus',
    'solver/trials/orientation_trials.py',
)
FLAG = re.compile(r'(?<![\w-])--[a-z][a-z-]+')
# A whole command is right anywhere.
COMMAND = re.compile(r'`ptychopinn [^`]*`')


def texts(path: Path) -> list[str]:
    """Return the strings of a module, docstrings left out."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def test_the_library_names_settings_and_arguments() -> None:
    found = [
        f'{path.relative_to(PACKAGE)}: {text}'
        for path in sorted(PACKAGE.rglob('*.py'))
        if not path.relative_to(PACKAGE).as_posix().startswith(WITH_FLAGS)
        for text in texts(path)
        if FLAG.search(COMMAND.sub('', text))
    ]
    assert found == []
