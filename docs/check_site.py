"""Check the built site: python docs/check_site.py [SITE].

It must open from a folder without a network: no page may load anything from elsewhere, every
equation and graph must be drawn, and the search index must be a script. Where Chromium or Chrome is
installed, it also searches for a word in a page opened from the folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
LOADING = {'src', 'srcset', 'poster'}
# Of a link element, which other than an anchor is loaded.
LOADED_LINKS = {'stylesheet', 'icon', 'preload', 'modulepreload', 'manifest', 'prefetch'}
FOUND = re.compile(r'md-search-result__meta">\s*(\d+) matching')


class _Page(HTMLParser):
    """What a page loads, its code, and the text that it shows outside of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.shown: list[str] = []
        self.code: list[str] = []
        self._in_code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loaded += [value or '' for name, value in attrs if name in LOADING]
        if tag == 'link' and LOADED_LINKS & set((values.get('rel') or '').split()):
            self.loaded.append(values.get('href') or '')
        self._in_code += tag in ('code', 'script')

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag in ('code', 'script')

    def handle_data(self, data: str) -> None:
        (self.code if self._in_code else self.shown).append(data)


def faults(site: Path) -> Iterator[str]:
    """Yield one sentence for each fault of a built site."""
    pages = sorted(site.rglob('*.html'))
    if len(pages) < 10:
        yield f'{site} has {len(pages)} pages: build it first, with make docs'
        return
    for path in pages:
        page = _Page(path.read_text(encoding='utf-8'))
        for target in page.loaded:
            if '//' in target and not target.startswith('data:'):
                yield f'{path} loads {target}'
        if re.search(r'\\[(\[]|\$\$', ''.join(page.shown)):
            yield f'{path} has an equation that is not drawn'
        if 'graph TD' in ''.join(page.code):
            yield f'{path} has a graph that is not drawn'
    if not (site / 'search' / 'search_index.js').is_file():
        yield f'{site} has no search index that a page in a folder can load'
    if not any('class="equation"' in path.read_text(encoding='utf-8') for path in pages):
        yield f'{site} has no equation: are they still found?'


def search_faults(site: Path, word: str = 'orthogonal') -> Iterator[str]:
    """Yield a fault where a search in the folder finds nothing; nothing without a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return
    with tempfile.TemporaryDirectory() as profile:
        page = subprocess.run(
            [
                *(
                    browser,
                    '--headless',
                    '--no-sandbox',
                    '--disable-gpu',
                    f'--user-data-dir={profile}',
                ),
                *('--virtual-time-budget=15000', '--dump-dom'),
                f'{(site / "index.html").resolve().as_uri()}?q={word}',
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        ).stdout
    found = FOUND.search(page)
    if not (found and int(found[1])):
        yield f'a search for {word!r} in {site} finds nothing ({browser})'


def main() -> None:
    """Check a site, with exit code 1 where it has faults."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else 'site')
    found = [*faults(site)]
    found += [] if found else search_faults(site)
    sys.exit('\n'.join(found) or None)


if __name__ == '__main__':
    main()
