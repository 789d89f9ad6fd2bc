"""The page on the architecture names what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.tooling import structure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
# Entries that hold no code of their own.
WITHOUT_ROOM = {'__init__', '__main__', 'py'}


def layers() -> list[set[str]]:
    """Return the rooms of each layer, the uppermost first."""
    contracts = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['importlinter']
    return [set(re.findall(r'\w+', layer)) for layer in contracts['contracts'][0]['layers']]


def arrows() -> list[tuple[str, str]]:
    """Return the imports that the drawing shows."""
    return re.findall(r'^ +(\w+) --> (\w+)$', PAGE, re.MULTILINE)


def rooms() -> set[str]:
    """Return the rooms that the package has."""
    names = {entry.split('.')[0] for entry in structure.top_level_entries()}
    return names - WITHOUT_ROOM


def test_the_drawing_and_the_table_show_every_room_once() -> None:
    described = re.findall(r'^\| `(\w+)` \|', PAGE, re.MULTILINE)
    assert sorted(described) == sorted(rooms())
    assert {name for arrow in arrows() for name in arrow} == rooms()
    assert set.union(*layers()) == rooms()


@pytest.mark.parametrize('arrow', arrows())
def test_an_arrow_points_to_a_lower_layer(arrow: tuple[str, str]) -> None:
    upper, lower = (next(i for i, layer in enumerate(layers()) if room in layer) for room in arrow)
    assert upper < lower


def test_every_file_named_is_there() -> None:
    named = re.findall(r'`([\w./]+/[\w./]+\.(?:py|md|toml))`', PAGE)
    assert len(named) > 40
    missing = [
        name
        for name in named
        if not any((base / name).exists() for base in (ROOT, structure.PACKAGE))
    ]
    assert not missing


def test_every_name_in_the_table_of_changes_is_in_its_file() -> None:
    rows = [line for line in PAGE.splitlines() if re.search(r'`\w+/[\w/]+\.py`.*`tests/', line)]
    assert len(rows) == 13
    for row in rows:
        files = re.findall(
            r'`((?:config|physics|solver|networks|io|backends|plotting|hosts)/[\w/]+\.py)`', row
        )
        text = '\n'.join((structure.PACKAGE / name).read_text() for name in files)
        for name in re.findall(r'`(\w+)[`(=]', row):
            assert name in text, row
