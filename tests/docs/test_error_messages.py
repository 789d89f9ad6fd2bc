"""The messages on the page of error messages are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tooling import structure

PAGE = (Path(__file__).parents[2] / 'docs' / 'error-messages.md').read_text()
# A row's first cell is one message in backquotes; what differs is '...'.
MESSAGES = re.findall(r'^\| `(.+)` \| .+ \|$', PAGE, re.MULTILINE)


def text(node: ast.AST) -> str:
    """Return a string expression with `\\0` in place of what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(map(text, node.values))
    return '\0'


def templates() -> Iterator[str]:
    for path in structure.PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                yield text(node)


TEMPLATES = '\n'.join(set(templates()))


def test_the_page_has_messages_of_every_kind() -> None:
    assert len(MESSAGES) > 35
    assert PAGE.count('\n| message | what to do |') == PAGE.count('\n## ') == 6


@pytest.mark.parametrize('message', MESSAGES, ids=lambda message: message[:40])
def test_a_message_is_one_of_the_code(message: str) -> None:
    parts = [re.escape(part) for part in message.split('...') if part.strip(' ;:.,')]
    pattern = r'[^\n]*'.join(parts)
    assert re.search(pattern, TEMPLATES), message
