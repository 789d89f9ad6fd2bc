"""A hook of MkDocs: equations as pictures inside the page.

Drawn while the site is built, they need no script, no font and no network where it is read.
"""

from __future__ import annotations

import html
import re

import ziamath

SIZE_PX = 17.0
# What pymdownx.arithmatex leaves, with `generic: true`.
EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(text: str, **_: object) -> str:
    """Return a page with its equations drawn; called by MkDocs for each page."""
    return EQUATION.sub(_drawn, text)


def _drawn(found: re.Match[str]) -> str:
    """Return one equation as SVG, with its source as the text that is read out."""
    latex = html.unescape(found['latex']).strip()
    inline = found['tag'] == 'span'
    # Plain paths: symbols would have the same names in all equations of a page.
    ziamath.config.svg2 = False
    drawn = ziamath.Latex(latex, size=SIZE_PX, inline=inline, color='currentColor')
    picture = drawn.svg().replace(
        '<svg ',
        f'<svg role="img" aria-label="{html.escape(latex)}" '
        f'style="vertical-align: {drawn.getyofst():.2f}px; max-width: 100%" ',
        1,
    )
    return f'<{found["tag"]} class="equation">{picture}</{found["tag"]}>'
