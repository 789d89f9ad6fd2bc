"""Figures of the structure of the package, counted from its sources.

Run it: `python tests/tooling/structure.py`.
Counts top-level entries, module names that several rooms share, lengths of files and functions,
comments, docstrings, `noqa` and `Any`.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

PACKAGE = Path(__file__).parents[2] / 'src' / 'ptychopinn_plugin'
Documented: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Parallel rooms hold the same subject for another framework or network under the same name.
PARALLEL = ({'backends/pytorch', 'backends/tensorflow'}, {'networks/unrolled', 'networks/cnn'})
# A protocol has the name of the modules that implement it.
SAME_SUBJECT = {'ops': {'physics', 'backends/pytorch', 'backends/tensorflow'}}


def sources() -> list[Path]:
    """Return the Python files of the package."""
    return sorted(PACKAGE.rglob('*.py'))


def shared_names() -> dict[str, list[str]]:
    """Return the module names that mean different things in several rooms.

    A name may stand in rooms that are parallel to each other, or in those of `SAME_SUBJECT`.
    """
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in sources():
        if not path.stem.startswith('__'):
            rooms[path.stem].add(path.parent.relative_to(PACKAGE).as_posix())
    return {
        name: sorted(places)
        for name, places in rooms.items()
        if len(places) > 1
        and not any(places <= parallel for parallel in PARALLEL)
        and not places <= SAME_SUBJECT.get(name, set())
    }


def top_level_entries() -> list[str]:
    """Return the names of modules and folders at the top of the package."""
    return sorted(
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix in ('.py', '.pyi', '.typed', '') and path.name != '__pycache__'
    )


def function_lengths() -> list[int]:
    """Return the number of lines of each function, its docstring left out."""
    return [_lines(node) for path in sources() for node in _functions(path)]


def documented_share() -> float:
    """Return the share of public functions and classes that have a docstring."""
    found = [ast.get_docstring(node) is not None for _, node in public_names()]
    return sum(found) / len(found)


def undocumented() -> list[str]:
    """Return the public functions and classes that have no docstring."""
    return [
        f'{path.relative_to(PACKAGE).as_posix()}:{node.lineno} {node.name}'
        for path, node in public_names()
        if ast.get_docstring(node) is None
    ]


def public_names() -> Iterator[tuple[Path, Documented]]:
    """Yield public functions, classes and methods; what is defined inside a function is private."""
    for path in sources():
        for node in _definitions(ast.parse(path.read_text()).body):
            yield path, node


def _definitions(body: list[ast.stmt]) -> Iterator[Documented]:
    for node in body:
        if isinstance(node, Documented) and not node.name.startswith('_'):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node.body)


def comments_per_100_lines() -> float:
    """Return comment lines per hundred lines of code, blank lines and docstrings left out."""
    comments = lines = 0
    for path in sources():
        text = path.read_text()
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        comments += sum(token.type == tokenize.COMMENT for token in tokens)
        documented = sum(_docstring_lines(node) for node in ast.walk(ast.parse(text)))
        lines += sum(bool(line.strip()) for line in text.splitlines()) - documented
    return 100 * comments / lines


def count(word: str) -> int:
    """Return how many lines of the package and its tests hold a word as a whole."""
    paths = [*sources(), *PACKAGE.rglob('*.pyi')]
    return sum(
        word
        in line.replace('(', ' ')
        .replace('[', ' ')
        .replace(':', ' ')
        .replace(',', ' ')
        .replace(']', ' ')
        .replace(')', ' ')
        .split()
        for path in paths
        for line in path.read_text().splitlines()
    )


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1 - _docstring_lines(node)


def _docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return 0
    first = node.body[0] if node.body else None
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return 0
    assert first.end_lineno is not None
    return first.end_lineno - first.lineno + 1 if isinstance(first.value.value, str) else 0


def report() -> list[str]:
    """Return the figures, one line each."""
    files = [len(path.read_text().splitlines()) for path in sources()]
    functions = sorted(function_lengths())
    return [
        f'top-level entries: {len(top_level_entries())}',
        f'module names with several meanings: {len(shared_names())}',
        f'files: {len(files)}, lines: median {statistics.median(files):.0f}, most {max(files)}',
        f'functions: {len(functions)}, lines: median {statistics.median(functions):.0f}, '
        f'90th percentile {functions[len(functions) * 9 // 10]}, most {functions[-1]}',
        f'public names with a docstring: {documented_share():.1%}',
        f'comments per 100 lines of code: {comments_per_100_lines():.1f}',
        f'noqa: {count("noqa")}',
        f'lines with Any: {count("Any")}',
    ]


if __name__ == '__main__':
    print('\n'.join(report()))  # noqa: T201  (a script)
