"""The one place where errors of libraries that read files become errors of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ptychopinn_plugin.errors import PtychoPINNError, printable_line

LONGEST_REASON = 200
# What NumPy and h5py raise for files that are cut, damaged or being written.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError)
_OF_PROGRAMS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    RecursionError,
    StopIteration,
    TypeError,
)
# Values and types as Python prints them, in texts of libraries.
_OF_PYTHON = re.compile(r"\bb'|NoneType|<class |object at 0x|has no attribute")


@contextmanager
def reading(error: Callable[[str], PtychoPINNError], what: str, advice: str = '') -> Iterator[None]:
    """Turn whatever a library raises for the content of a file into an error of this package.

    What libraries raise for damaged or hostile content is no part of their documentation.

    Args:
        error: makes the error of a sentence.
        what: begins the sentence, such as 'a.h5 cannot be read'.
        advice: ends it.
    """
    try:
        yield
    except PtychoPINNError:
        raise
    except MemoryError as cause:
        raise error(f'{what}: it does not fit into memory{advice}') from cause
    except Exception as cause:
        raise error(f'{what} ({describe(cause)}){advice}') from cause


def describe(cause: BaseException) -> str:
    """Return what a library reports of a file as one short line, without names of Python.

    Texts of errors that speak of Python's own types are left out: they say where a program gave
    up, not what is wrong with the file. `--debug` and the log of a batch show them.
    """
    if isinstance(cause, _OF_PROGRAMS):
        return 'its content has another form than is needed'
    if isinstance(cause, OSError) and cause.strerror and cause.filename is not None:
        return cause.strerror
    # Of a missing key the text is the key in quotes.
    is_key = isinstance(cause, KeyError) and len(cause.args) == 1
    text = printable_line(str(cause.args[0] if is_key else cause), LONGEST_REASON).strip()
    if is_key and ' ' not in text:
        return f'it has no {text!r}'
    return 'its content is damaged' if not text or _OF_PYTHON.search(text) else text
