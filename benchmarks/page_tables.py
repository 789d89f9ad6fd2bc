"""Tables of documentation pages that benchmarks write between two markers."""

from __future__ import annotations

from pathlib import Path


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put text on lines of its own between two markers of a page, in place of what is there.

    Args:
        page: the page, UTF-8.
        begin: the marker before the text.
        end: the marker behind it.
        text: what is written.

    Raises:
        ValueError: the page lacks a marker; it is left as it is.
    """
    before, begins, rest = page.read_text(encoding='utf-8').partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise ValueError(f'{page} has no {begin} followed by {end}; put both where the table goes')
    page.write_text(f'{before}{begin}\n{text}\n{end}{after}', encoding='utf-8')
