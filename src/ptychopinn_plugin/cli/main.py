"""Entry point of `ptychopinn`: run a command, turn what went wrong into a sentence."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from pydantic_settings import CliApp, get_subcommand

import ptychopinn_plugin
from ptychopinn_plugin.cli import commands
from ptychopinn_plugin.cli.legacy_flags import translate_flags
from ptychopinn_plugin.cli.options import Command, Ptychopinn
from ptychopinn_plugin.cli.parser import parse
from ptychopinn_plugin.cli.reports import DONE, FAILED, REPORTED, report
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.worker.environment import THREAD_SPIN_LIMIT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `ptychopinn`; those of the process where None.

    Returns:
        0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted.
    """
    for name, value in THREAD_SPIN_LIMIT.items():
        os.environ.setdefault(name, value)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ['ptychodus'] and words[1:] not in (['--help'], ['-h']):
            return _start_ptychodus(words[1:])
        words, remarks = translate_flags(words)
        for remark in remarks:
            print(f'ptychopinn: warning: {remark}', file=sys.stderr)
        source, parsed = parse(words)
        _run(CliApp.run(Ptychopinn, cli_args=parsed, cli_settings_source=source))
        sys.stdout.flush()
    except SystemExit as request:  # of --help
        return int(request.code or 0)
    except BrokenPipeError:
        # Whoever read standard output has left; Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except REPORTED as error:
        return report(error, words)
    return DONE


def _start_ptychodus(words: list[str]) -> int:
    """Start Ptychodus with its own arguments; return its exit code.

    Raises:
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.hosts.ptychodus.launch import launch

    return launch(words)


def _run(typed: Ptychopinn) -> None:
    """Run the command that was typed, from the module of its name in `cli.commands`."""
    if typed.version:
        print(f'ptychopinn {ptychopinn_plugin.__version__}')
        return
    command = get_subcommand(typed, is_required=False)
    if not isinstance(command, Command):
        raise UsageError('name a command, such as reconstruct; see ptychopinn --help')
    # Here, for it imports what `--help` does not need.
    from ptychopinn_plugin.cli.console import set_up_logging

    set_up_logging(quiet=command.quiet, debug=command.debug)
    # By name, so that only this command's modules are imported and `--help` stays quick.
    module = importlib.import_module(f'{commands.__name__}.{type(command).__name__.lower()}')
    module.run(command)
