"""`ptychopinn show`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Show
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.plotting import SUFFIXES, picture


def run(flags: Show) -> None:
    """Draw a result."""
    check_writable(flags.picture, SUFFIXES)
    check_distinct([flags.picture], [check_exists(flags.result)])
    picture(load_result(flags.result), flags.picture, title=flags.result.name)
    echo(f'picture: {flags.picture}')
