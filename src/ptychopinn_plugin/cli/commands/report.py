"""`ptychopinn report`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Report
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.io.result_files import load_comments, load_result
from ptychopinn_plugin.plotting import save_report
from ptychopinn_plugin.plotting.html_report import SUFFIXES


def run(flags: Report) -> None:
    """Write a report of a result."""
    check_writable(flags.output, SUFFIXES)
    check_distinct([flags.output], [check_exists(flags.result)])
    save_report(
        load_result(flags.result),
        flags.output,
        title=flags.result.name,
        comments=load_comments(flags.result),
    )
    echo(f'report: {flags.output}')
