"""The page of promises names tests that there are, at least one for each promise."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'promises.md').read_text()
ROWS = [row for row in re.findall(r'^\| (.+) \| (.+) \|$', PAGE, re.M) if row[0] != 'promise']


def names_in(path: Path) -> set[str]:
    """Return the test functions of a file, as pytest finds them."""
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')
    }


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row[0][:40])
def test_a_promise_has_tests_that_are_there(row: tuple[str, str]) -> None:
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', row[1])
    assert named, row[0]
    assert len(named) == row[1].count('::')
    for file, test in named:
        assert test in names_in(ROOT / file), f'{file} has no {test}'


def test_the_page_has_promises() -> None:
    assert len(ROWS) > 20
    assert PAGE.count('\n| promise ') == 4
