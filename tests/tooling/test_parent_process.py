"""A process that is to end with its parent does, on systems with and without a signal for it."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time

import pytest

from ptychopinn_plugin import parent_process

SCRIPT = """
    import os, signal, sys, time
    from ptychopinn_plugin import parent_process

    if {system!r}:
        sys.platform = {system!r}
    parent = os.getpid()
    child = os.fork()
    if not child:
        parent_process.end_with_parent(parent)
        print('ready', os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(60)
"""


@pytest.mark.parametrize('system', ['', 'another'])
def test_a_child_ends_with_a_killed_parent(system: str) -> None:
    script = textwrap.dedent(SCRIPT).format(system=system)
    with subprocess.Popen(
        [sys.executable, '-c', script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith('ready')
        parent.kill()
        began = time.monotonic()
        assert parent.stdout.read() == '', 'the pipe is closed at the end of the last process'
        assert time.monotonic() - began < 1


def test_a_child_of_another_parent_ends_at_once() -> None:
    context = multiprocessing.get_context('spawn')
    child = context.Process(target=parent_process.end_with_parent, args=(os.getppid(),))
    child.start()
    child.join(20)
    assert child.exitcode == 1
