"""Conversion of errors to JSON and back, so that the caller gets the same class and message."""

from __future__ import annotations

import traceback

from ptychopinn_plugin import errors
from ptychopinn_plugin.errors import PtychoPINNError, ScanDataError, WorkerError
from ptychopinn_plugin.worker.messages import Body

TRACEBACK_LINES = 12


def pack_error(error: Exception) -> Body:
    """Return an error as JSON; errors of other packages with the end of their traceback."""
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


def unpack_error(body: Body) -> PtychoPINNError:
    """Return the error that `pack_error` packed; a WorkerError for an unknown class."""
    if body['class'] == 'ScanDataError':
        return ScanDataError(body['faults'], body['source'])
    error_class = getattr(errors, body['class'], WorkerError)
    if not (isinstance(error_class, type) and issubclass(error_class, PtychoPINNError)):
        error_class = WorkerError
    return error_class(body['message'])
