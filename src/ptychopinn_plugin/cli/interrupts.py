"""Ctrl-C and SIGTERM ask a job to stop; a second one stops it at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def on_interrupt(request_stop: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a request, so that a job can hand over what it has.

    The second one is a KeyboardInterrupt. Batch systems end jobs by SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    pressed = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        """Request a stop at the first signal, interrupt at the next."""
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt
        request_stop()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    except SystemExit as error:
        if pressed:  # Lightning ends the process in place of the interrupt
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
