"""The command line of both pretrainings: `cases` makes scans, `train` learns from them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

Command = Callable[[argparse.Namespace], None]


def run_command(
    description: str | None,
    write_cases: Command,
    train: Command,
    *,
    count: int,
    steps: int,
    report: int,
) -> None:
    """Run what the command line asks for, on one thread.

    Args:
        description: of the program.
        write_cases: makes cases; called with folder, seed, first and count.
        train: trains; called with folder, model, steps, report and seed.
        count: cases, by default.
        steps: of the training, by default.
        report: steps between two reports, by default.
    """
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(required=True)
    cases, training = commands.add_parser('cases'), commands.add_parser('train')
    for command in (cases, training):
        command.add_argument('folder', type=Path)
        command.add_argument('--seed', type=int, default=1)
    cases.add_argument('--first', type=int, default=0)
    cases.add_argument('--count', type=int, default=count)
    cases.set_defaults(run=write_cases)
    training.add_argument('model', type=Path)
    training.add_argument('--steps', type=int, default=steps)
    training.add_argument('--report', type=int, default=report)
    training.set_defaults(run=train)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)
