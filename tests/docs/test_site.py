"""The site shows every page once, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib
import re
import runpy
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
    # A hook makes a page of each notebook.
    there |= {
        page.relative_to(DOCS).with_suffix('.md').as_posix() for page in DOCS.rglob('*.ipynb')
    }
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
    # Without a script of its own `offline` would load one from elsewhere.
    assert {'search', 'offline'} <= set(map(plugin_name, SITE['plugins']))
    assert [Path(script).stem for script in SITE['extra']['polyfills']] == ['iframe-worker']
    scripts = [*SITE['extra']['polyfills'], *SITE.get('extra_javascript', [])]
    for path in [*scripts, *SITE.get('extra_css', [])]:
        assert (DOCS / path).is_file(), path
    for hook in SITE['hooks']:
        assert (ROOT / hook).is_file()


def plugin_name(plugin: str | dict[str, object]) -> str:
    return plugin if isinstance(plugin, str) else next(iter(plugin))


def test_a_site_that_loads_or_lacks_something_is_refused(tmp_path: Path) -> None:
    check = runpy.run_path(str(DOCS / 'check_site.py'))
    assert 'build it first' in next(check['faults'](tmp_path))
    good = '<link rel="canonical" href="https://a.b/c"><a href="https://a.b">b</a><code>\\(</code>'
    for number in range(10):
        (tmp_path / f'{number}.html').write_text(good)
    (tmp_path / '3.html').write_text('<script src="https://a.b/c.js"></script><p>\\(x\\)</p>')
    (tmp_path / '5.html').write_text('<pre><code>graph TD\n  a --> b</code></pre>')
    (tmp_path / '4.html').write_text('<link rel="stylesheet" href="//a.b/c.css">')
    found = '\n'.join(check['faults'](tmp_path))
    for fault in (
        '3.html loads https://a.b/c.js',
        '3.html has an equation that is not drawn',
        '5.html has a graph that is not drawn',
        '4.html loads //a.b/c.css',
        'no search index',
        'no equation',
    ):
        assert fault in found
    assert len(found.splitlines()) == 6
    (tmp_path / '3.html').write_text(good + '<span class="equation"></span>')
    (tmp_path / '4.html').write_text(good)
    (tmp_path / '5.html').write_text(good)
    (tmp_path / 'search').mkdir()
    (tmp_path / 'search' / 'search_index.js').write_text('var __index = {}')
    assert not list(check['faults'](tmp_path))


def test_the_reference_shows_what_the_package_has() -> None:
    named = re.findall(r'^::: ([\w.]+)$', (DOCS / 'api.md').read_text(), re.MULTILINE)
    assert len(named) > 20
    for name in named[:-1]:
        module, _, attribute = name.rpartition('.')
        found = getattr(importlib.import_module(module), attribute)
        assert getattr(ptychopinn_plugin, attribute, found) is found
    assert named[-1] == 'ptychopinn_plugin.errors'
