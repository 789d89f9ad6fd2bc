"""The site shows every page once, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import yaml

import ptychopinn_plugin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
SITE = yaml.safe_load((ROOT / 'mkdocs.yml').read_text())


def pages(entries: list[str | dict[str, object]]) -> list[str]:
    """Return the pages of a part of the navigation, with those of its parts."""
    found: list[str] = []
    for entry in entries:
        values = [entry] if isinstance(entry, str) else list(entry.values())
        for value in values:
            found += pages(value) if isinstance(value, list) else [str(value)]
    return found


def test_every_page_is_in_one_part_of_the_site() -> None:
    shown = pages(SITE['nav'])
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob('*.md')}
    assert set(shown) == there, 'name each page of docs/ once, under `nav` in mkdocs.yml'
    assert len(shown) == len(set(shown))


def test_a_page_links_to_pages_of_the_site() -> None:
    for page in DOCS.rglob('*.md'):
        for target in re.findall(r'\]\(([^)#]+)\)', page.read_text()):
            inside = (
                target.startswith('https://') or DOCS in (page.parent / target).resolve().parents
            )
            assert inside, f'{page.name} links to {target}, which is no part of the site'


def test_the_site_needs_no_network_and_no_warning_passes() -> None:
    assert SITE['strict'] is True
    assert SITE['theme']['font'] is False
    assert 'search' in SITE['plugins']
    # Loads a script from elsewhere.
    assert 'offline' not in SITE['plugins']
    for name in ('extra_javascript', 'extra_css'):
        assert not [path for path in SITE.get(name, []) if '//' in path]


def test_the_reference_shows_what_the_package_has() -> None:
    named = re.findall(r'^::: ([\w.]+)$', (DOCS / 'api.md').read_text(), re.MULTILINE)
    assert len(named) > 20
    for name in named[:-1]:
        module, _, attribute = name.rpartition('.')
        found = getattr(importlib.import_module(module), attribute)
        assert getattr(ptychopinn_plugin, attribute, found) is found
    assert named[-1] == 'ptychopinn_plugin.errors'
