"""Memory that a file's arrays may take."""

from __future__ import annotations

import ctypes
import math
import sys
from pathlib import Path

_MEMINFO = Path('/proc/meminfo')
_CONTAINER = Path('/sys/fs/cgroup')


def memory_fault(what: str, nbytes: float) -> str:
    """Return why something does not fit into memory; '' if it fits.

    Args:
        what: the arrays, for the message.
        nbytes: that reading them takes at its peak.
    """
    free = free_memory()
    if nbytes <= free:
        return ''
    return (
        f'{what} needs {gigabytes(nbytes)} of memory, and {gigabytes(free)} are free; take fewer '
        'frames or a machine with more memory, or write the file again if it is not that large'
    )


def free_memory() -> float:
    """Return the bytes that this process may still take, swap space included; inf if unknown."""
    return min(_free_in_machine(), _free_in_container())


def _free_in_machine() -> float:
    try:
        lines = _MEMINFO.read_text().splitlines()
        fields = {name: value for name, _, value in (line.partition(':') for line in lines)}
        return sum(1024.0 * int(fields[name].split()[0]) for name in ('MemAvailable', 'SwapFree'))
    except (OSError, KeyError, ValueError, IndexError):
        return math.inf


def _free_in_container() -> float:
    try:
        most = int((_CONTAINER / 'memory.max').read_text())
        used = int((_CONTAINER / 'memory.current').read_text())
        lines = (_CONTAINER / 'memory.stat').read_text().splitlines()
    except (OSError, ValueError):  # 'max' where there is no limit
        return math.inf
    statistics = dict(line.split(maxsplit=1) for line in lines)
    # Pages of files are given back when memory is needed.
    return most - used + float(statistics.get('inactive_file', 0))


def return_unused_memory() -> None:
    """Return memory that was freed to the system, where the C library keeps it (glibc).

    Arrays that come and go in two threads leave holes between those that stay: a pass over 4,000
    frames of 128 x 128 in their file took 1.0 GiB, which was free for the most part.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)


def gigabytes(nbytes: float) -> str:
    """Return a size as text, in GiB or MiB."""
    return f'{nbytes / 2**30:.2g} GiB' if nbytes >= 2**29 else f'{nbytes / 2**20:.0f} MiB'
