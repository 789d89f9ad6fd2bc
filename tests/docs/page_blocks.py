"""The blocks of code of a page, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
# `<!-- not run: why -->` before a block is seen in the source of a page only.
BLOCK = re.compile(
    r'^(?:<!-- not run: (?P<reason>.+?) -->\n+)?```(?P<language>\w+)\n(?P<text>.*?)^```',
    re.DOTALL | re.MULTILINE,
)
RUN = ('sh', 'bash', 'python')
FILES = ('toml', 'yaml', 'ini')


@dataclass(frozen=True)
class Block:
    """A block of code."""

    language: str
    text: str
    reason: str  # why it is not run, '' where it is


def page_file(page: str) -> Path:
    """Return the file of a page by its name without ending; README lies beside the folder."""
    return ROOT / 'README.md' if page == 'README' else DOCS / f'{page}.md'


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page."""
    return [
        Block(found['language'], found['text'], found['reason'] or '')
        for found in BLOCK.finditer(page_file(page).read_text())
    ]


def pages_with_code() -> list[str]:
    """Return README and the pages that show commands, Python or files, without the decisions."""
    names = ['README', *sorted(path.stem for path in DOCS.glob('*.md'))]
    return [
        name for name in names if any(block.language in (*RUN, *FILES) for block in blocks(name))
    ]
