"""`ptychopinn show`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Show
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.config.used_settings import changed_settings
from ptychopinn_plugin.errors import printable_line
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.plotting import SUFFIXES, picture


def run(flags: Show) -> None:
    """Draw a result."""
    check_writable(flags.picture, SUFFIXES)
    check_distinct([flags.picture], [check_exists(flags.result)])
    result = load_result(flags.result)
    picture(result, flags.picture, title=flags.result.name)
    if result.settings:
        echo(f'settings: {printable_line(changed_settings(result.settings))}')
    echo(f'picture: {flags.picture}')
