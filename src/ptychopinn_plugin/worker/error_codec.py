"""Errors across the boundary: the same class, the same message."""

from __future__ import annotations

import traceback
from typing import Any

from ptychopinn_plugin import errors
from ptychopinn_plugin.errors import PtychoPINNError, ScanDataError, WorkerError

TRACEBACK_LINES = 12


def pack_error(error: Exception) -> dict[str, Any]:
    """Return an error as JSON; one that is not of this package with the end of its traceback."""
    if isinstance(error, ScanDataError):
        return {'class': 'ScanDataError', 'faults': list(error.faults), 'source': error.source}
    name = type(error).__name__
    if isinstance(error, PtychoPINNError) and getattr(errors, name, None) is type(error):
        return {'class': name, 'message': str(error)}
    lines = ''.join(traceback.format_exception(error)).splitlines()[-TRACEBACK_LINES:]
    return {
        'class': 'WorkerError',
        'message': f'the worker failed with {name}: {error}',
        'traceback': lines,
    }


def unpack_error(body: dict[str, Any]) -> PtychoPINNError:
    """Return the error that `pack_error` packed; an unknown class comes as a WorkerError."""
    if body['class'] == 'ScanDataError':
        return ScanDataError(body['faults'], body['source'])
    kind = getattr(errors, body['class'], WorkerError)
    if not (isinstance(kind, type) and issubclass(kind, PtychoPINNError)):
        kind = WorkerError
    return kind(body['message'])
