"""The one place where errors of libraries that read files become errors of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ptychopinn_plugin.errors import PtychoPINNError, printable_line

LONGEST_REASON = 200


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


def describe(cause: Exception) -> str:
    """Return kind and text of a library's error as one short line."""
    text = printable_line(str(cause), LONGEST_REASON).strip()
    return f'{type(cause).__name__}: {text}' if text else type(cause).__name__
