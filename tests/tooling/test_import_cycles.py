"""No module of the package imports itself through others, imports inside functions included."""

from __future__ import annotations

import ast
import graphlib
import inspect
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import ptychopinn_plugin

PACKAGE = Path(inspect.getfile(ptychopinn_plugin)).parent


def module_name(path: Path, root: Path) -> str:
    """Return the dotted name of a source file below a package's folder."""
    parts = [root.name, *path.relative_to(root).with_suffix('').parts]
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(tree: ast.AST, modules: frozenset[str]) -> Iterator[str]:
    """Yield the modules that a source imports anywhere: functions and TYPE_CHECKING too.

    `from a.b import c` imports `a.b.c` if that is a module, and `a.b` otherwise. Modules that are
    found by a computed name (`importlib.import_module`) are not seen: these are the slots.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f'{node.module}.{alias.name}'
                target = whole if whole in modules else node.module
                if target in modules:
                    yield target


def import_graph(root: Path) -> dict[str, set[str]]:
    """Return the modules that each module of a package imports."""
    paths = {module_name(path, root): path for path in root.rglob('*.py')}
    names = frozenset(paths)
    return {
        name: set(imported(ast.parse(path.read_text(encoding='utf-8')), names))
        for name, path in paths.items()
    }


def find_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of a cycle in the order of the imports, [] if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_module_imports_itself_through_others() -> None:
    cycle = find_cycle(import_graph(PACKAGE))
    assert not cycle, 'import cycle, each module imports the next: ' + ' -> '.join(cycle)


@pytest.mark.parametrize(
    'hidden',
    [
        'from package.a import x',
        'def f():\n    import package.a',
        'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package import a',
    ],
)
def test_a_cycle_is_found_wherever_it_is_imported(tmp_path: Path, hidden: str) -> None:
    root = tmp_path / 'package'
    root.mkdir()
    (root / '__init__.py').write_text('')
    (root / 'a.py').write_text('from package import b\nx = 1')
    (root / 'b.py').write_text('from package import c')
    (root / 'c.py').write_text(hidden)
    cycle = find_cycle(import_graph(root))
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {'package.a', 'package.b', 'package.c'}
    assert all(after in import_graph(root)[name] for name, after in itertools.pairwise(cycle))
