"""`ptychopinn show`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import say
from ptychopinn_plugin.cli.options import Show
from ptychopinn_plugin.cli.paths import apart, readable, writable
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.plotting import SUFFIXES, picture


def run(flags: Show) -> None:
    """Draw a result."""
    writable(flags.picture, SUFFIXES)
    apart([flags.picture], [readable(flags.result)])
    picture(load_result(flags.result), flags.picture, title=flags.result.name)
    say(f'picture: {flags.picture}')
