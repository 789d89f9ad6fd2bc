"""Write docs/licences.md, the licences of all dependencies: python docs/make_licences.py.

Run it where the dependencies of all extras are installed, as in the environment of `make test`.
What other platforms need is not found there.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1] / 'pyproject.toml'
PAGE = Path(__file__).with_name('licences.md')
LONGEST_NAME = 60  # characters; a longer field holds the text of a licence
HEAD = """\
# Licences of the dependencies

`ptychopinn-plugin` is BSD-3-Clause. It holds no code of other projects; this is what `pip` installs
with it on Linux, by what each package says of itself. An extra is named where a package comes with
it alone. Two things to know:

- the extra `gui` brings PyQt5, which is GPL v3, for the window of Ptychodus. Without the extra
  nothing of it is installed, and the package imports it in the pages of settings only;
- PyTorch's builds for graphics cards bring packages of NVIDIA under licences of NVIDIA; the build
  for processors, which this list was made with, does not.

Most of the rest comes with `ptychodus` itself.

The documentation has one script of another project, `docs/javascripts/iframe-worker.js` (MIT); it
is no part of the package.

This page is made by `python docs/make_licences.py`.

| package | licence | comes with |
| --- | --- | --- |
"""


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Return the installed distributions that meet requirements, and theirs, by canonical name.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) not in seen:
            seen.add((name, extras))
            found[name] = distribution(name)
            needed = map(Requirement, found[name].requires or [])
            waiting += [each for each in needed if is_needed(each, extras)]
    return found


def is_needed(requirement: Requirement, with_extras: Iterable[str]) -> bool:
    """Return whether a requirement holds on this platform with some extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({'extra': extra}) for extra in ('', *with_extras))


def licence(package: Distribution) -> str:
    """Return the name of a licence: expression, else the old field if short, else classifiers."""
    metadata = package.metadata
    classifiers = [
        text.rpartition(' :: ')[2]
        for text in metadata.get_all('Classifier') or []
        if text.startswith('License ::') and not text.endswith(':: OSI Approved')
    ]
    old = (metadata.get('License') or '').strip()
    short = old if len(old) <= LONGEST_NAME and '\n' not in old else ''
    return metadata.get('License-Expression') or short or ', '.join(classifiers) or 'see its files'


def make_page() -> str:
    """Return the page for what is installed."""
    project = tomllib.loads(PROJECT.read_text())['project']
    always = closure(project['dependencies'])
    packages, brought_by = dict(always), defaultdict(list)
    for extra, requirements in project['optional-dependencies'].items():
        for name, package in closure(requirements).items():
            if name not in always:
                packages[name] = package
                brought_by[name].append(f'`{extra}`')
    return HEAD + ''.join(
        f'| {package.metadata["Name"]} | {licence(package)} | {", ".join(brought_by[name])} |\n'
        for name, package in sorted(packages.items())
    )


if __name__ == '__main__':
    PAGE.write_text(make_page())
