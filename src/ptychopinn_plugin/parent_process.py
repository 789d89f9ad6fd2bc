"""Ending of a process together with the process that started it, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
SECONDS_BETWEEN_LOOKS = 0.25


def end_with_parent(parent: int) -> None:
    """End this process as soon as its parent has ended.

    On Linux the system ends it, also in the middle of a step in C, once the thread that started it
    has ended; on other POSIX systems a thread looks for another parent four times a second. Windows
    has neither.

    Args:
        parent: number of the parent process; where the parent is already another one, this process
            ends at once.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    elif os.name == 'posix':
        threading.Thread(target=watch_parent, args=(parent,), daemon=True).start()
    # After the call above: a parent that ended before it sends no signal.
    if os.name == 'posix' and os.getppid() != parent:
        os._exit(1)


def watch_parent(parent: int) -> None:
    """Wait until the parent of this process is another one, then end this process."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
