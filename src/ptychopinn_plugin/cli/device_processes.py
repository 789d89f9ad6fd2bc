"""Processes of one command on this machine, a device each: what torchrun does, in one message.

torchrun takes seconds to start and a page to say that a process has failed.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from ptychopinn_plugin.backends.ranks import ProcessRank
from ptychopinn_plugin.cli.batch.processes import cores
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.reconstruct_files import what_is_kept
from ptychopinn_plugin.cli.reports import FAILED, REPORTED, report
from ptychopinn_plugin.errors import ProcessLostError
from ptychopinn_plugin.parent_process import end_with_parent

# How long the others have to notice that a process has ended, and to say so.
LEAVING_SECONDS = 5.0
SECONDS_BETWEEN_LOOKS = 0.1
# Not fork: threads and devices of a framework do not survive it.
_CONTEXT = multiprocessing.get_context('spawn')


def run_in_processes(command: Callable[[Reconstruct], None], flags: Reconstruct, count: int) -> int:
    """Run a command in several processes, which share the CPU threads.

    Args:
        command: what each of them calls.
        flags: of the command.
        count: number of processes.

    Returns:
        The exit code of process 0, which has said what went wrong; 0 where all are done.

    Raises:
        ProcessLostError: a process was killed, and process 0 could not say so.
    """
    flags = flags.model_copy(
        update={'devices': count, 'threads': max(1, (flags.threads or cores()) // count)}
    )
    port, parent = _free_port(), os.getpid()
    processes = [
        _CONTEXT.Process(target=_run_one, args=(command, flags, rank, count, port, parent))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    with on_interrupt(lambda: _interrupt(processes)):
        try:
            _wait(processes)
        finally:
            for process in processes:
                process.kill()
                process.join()
    return exit_code([process.exitcode or 0 for process in processes], what_is_kept(flags))


def _wait(processes: Sequence[BaseProcess]) -> None:
    """Wait until all processes are done, or one has failed and the others had time to notice."""
    until = float('inf')
    while time.monotonic() < until and any(process.is_alive() for process in processes):
        if until == float('inf') and any(process.exitcode for process in processes):
            until = time.monotonic() + LEAVING_SECONDS
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _interrupt(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGTERM)


def exit_code(codes: Sequence[int], kept: str) -> int:
    """Return the exit code of a group.

    Args:
        codes: of each process.
        kept: what is said of the files, where process 0 did not say it.

    Raises:
        ProcessLostError: a process was killed, and process 0 too or without an error of its own.
    """
    if codes[0] > 0 or not any(codes):
        return codes[0]
    rank = next(rank for rank, code in enumerate(codes) if code)
    how = f'was ended by signal {-codes[rank]}' if codes[rank] < 0 else 'failed'
    raise ProcessLostError(f'process {rank} of {len(codes)} {how}; {kept}')


def _run_one(
    command: Callable[[Reconstruct], None],
    flags: Reconstruct,
    rank: int,
    count: int,
    port: int,
    parent: int,
) -> None:
    """Run the command as one of the processes; end with its exit code."""
    from ptychopinn_plugin.cli.console import set_up_logging

    # A signal of the terminal goes to all processes: the one that started them passes it on.
    if os.name == 'posix':
        os.setpgid(0, 0)
    end_with_parent(parent)
    place = {'RANK': rank, 'WORLD_SIZE': count, 'MASTER_PORT': port}
    place |= {'LOCAL_RANK': rank, 'LOCAL_WORLD_SIZE': count}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ['MASTER_ADDR'] = '127.0.0.1'
    if sys.platform == 'linux':
        # Gloo looks the name of the machine up, which not every machine can.
        os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    set_up_logging(quiet=flags.quiet, debug=flags.debug)
    words = ['reconstruct', *(['--debug'] if flags.debug else [])]
    try:
        command(flags)
    except REPORTED as error:
        sys.exit(report(error, words))


def _free_port() -> int:
    """Return a TCP port of this machine that no one uses."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def silent_beside(place: ProcessRank) -> Iterator[None]:
    """Let process 0 alone print; others end with an exit code.

    What fails before the processes have met is said once a machine, for its files may differ.
    """
    # PyTorch prints pages when the process that it asks is gone; we say it in a sentence.
    os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'ERROR')
    if place.rank == 0:
        yield
        return
    logging.getLogger('ptychopinn_plugin').handlers = [logging.NullHandler()]
    with Path(os.devnull).open('w') as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            yield
        except ProcessLostError:
            sys.exit(FAILED)
        except REPORTED as error:
            sys.exit(report(error, []) if place.local_rank == 0 else FAILED)
