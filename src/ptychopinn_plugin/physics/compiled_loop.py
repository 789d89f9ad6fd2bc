"""Functions compiled by Numba into machine code, kept on disk where that is possible."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

logger = logging.getLogger(__name__)

Arguments = ParamSpec('Arguments')
Result = TypeVar('Result')

# What a disk that is full, or a damaged file of an earlier run, raises.
_CACHE_ERRORS = (OSError, EOFError, pickle.PickleError, ImportError, AttributeError)


def compiled_loop(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that is compiled at its first call.

    What was compiled is kept beside the package, or else in the user's cache folder, and loaded by
    later processes. Where neither can be written or read, each process compiles anew.

    Args:
        function: of C-contiguous arrays and numbers; it is compiled for each set of dtypes.
    """
    compiled = [_kept_on_disk(function)]

    @functools.wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return compiled[0](*args, **kwargs)
        except _CACHE_ERRORS as error:
            # The loops themselves raise none of these.
            logger.debug('Compiled loops are not kept on disk: %s', error)
            compiled[0] = part_of_loops(function)
            return compiled[0](*args, **kwargs)

    return call


def part_of_loops(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that compiled loops call; it is compiled as a part of them."""
    return _compile(function, on_disk=False)


def _kept_on_disk(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a compiled function that is kept on disk if Numba finds a folder for it."""
    try:
        return _compile(function, on_disk=True)
    except RuntimeError as error:
        logger.debug('Compiled loops are not kept on disk: %s', error)
        return _compile(function, on_disk=False)


def _compile(
    function: Callable[Arguments, Result], *, on_disk: bool
) -> Callable[Arguments, Result]:
    # Sums in any order, multiplications and additions in one instruction. What is not finite stays
    # so, which is how a reconstruction that diverges is found.
    arithmetic = {'contract', 'reassoc', 'arcp', 'nsz'}
    compiler = numba.njit(nogil=True, error_model='numpy', fastmath=arithmetic, cache=on_disk)
    compiled: Callable[Arguments, Result] = compiler(function)
    return compiled
