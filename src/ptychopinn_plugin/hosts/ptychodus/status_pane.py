"""Messages in the status pane of Ptychodus, which shows what this logger is given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ptychopinn_plugin.errors import Cancelled, PtychoPINNError
from ptychopinn_plugin.scan import Reconstruction

# The library passes this name to Ptychodus, which shows the loggers below it too.
package_logger = logging.getLogger('ptychopinn_plugin')


@contextmanager
def errors_logged() -> Iterator[None]:
    """Log errors, which Ptychodus itself does not show, and raise them again.

    `Cancelled` is logged as information and not raised: the user requested the stop.
    """
    try:
        yield
    except Cancelled as error:
        sentence = str(error).removeprefix('stopped').lstrip(':; ')
        package_logger.info('Stopped: %s', sentence)
    except PtychoPINNError as error:
        package_logger.error('%s', error)
        raise
    except Exception as error:
        package_logger.error('%s: %s', type(error).__name__, error)
        raise


def log_result(result: Reconstruction) -> None:
    """Log backend, model, steps, seconds and last residual of a reconstruction."""
    package_logger.info(
        'Reconstructed by %s, %s, %d steps in %.2f s, residual %s',
        result.backend,
        f'model {result.model_name[:12]}' if result.model_name else 'physics alone',
        len(result.residual),
        result.seconds,
        f'{result.residual[-1]:.4g}' if len(result.residual) else 'unknown',
    )
    for remark in result.remarks:
        package_logger.info('Found: %s', remark)
    if result.warning:
        package_logger.warning('Probably wrong: %s', result.warning)
