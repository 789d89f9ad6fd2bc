"""Messages in the status pane of Ptychodus, which shows what this logger is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.errors import Cancelled, PtychoPINNError
from ptychopinn_plugin.scan import Reconstruction

# The library passes this name to Ptychodus, which shows the loggers below it too.
package_logger = logging.getLogger('ptychopinn_plugin')


@contextmanager
def errors_logged(subject: str) -> Iterator[None]:
    """Log errors, which Ptychodus itself does not show, and raise them again.

    `Cancelled` is logged as information and not raised: the user requested the stop.

    Args:
        subject: what was worked on, as the user chose it: the name of a product, or a path.
    """
    try:
        yield
    except Cancelled as error:
        sentence = str(error).removeprefix('stopped').lstrip(':; ')
        package_logger.info('Stopped: %s', sentence)
    except PtychoPINNError as error:
        text = str(error)
        package_logger.error('%s', text if text.startswith(subject) else f'{subject}: {text}')
        raise
    except Exception as error:
        package_logger.error('%s: unexpected error: %s (%s)', subject, error, type(error).__name__)
        raise


def log_result(result: Reconstruction, subject: str, model: str) -> None:
    """Log backend, model, iterations, seconds and last residual of a reconstruction.

    Args:
        result: of the reconstruction.
        subject: name of the product that was chosen.
        model: the model that was used, '' for none.
    """
    package_logger.info(
        'Reconstructed %s with %s, %s: %s in %.2f s, residual %s',
        subject,
        backend_display_name(result.backend),
        f'model {model}' if model else 'physics alone',
        counted(result.iterations, 'iteration'),
        result.seconds,
        f'{result.residual[-1]:.4g}' if len(result.residual) else 'unknown',
    )
    for remark in result.remarks:
        package_logger.info('Found: %s', remark)
    if result.warning:
        package_logger.warning('Probably wrong: %s', result.warning)


class PaneRefreshHandler(logging.Handler):
    """Lets the status pane show each record at once.

    Ptychodus by itself shows records when the progress of a task changes, so that those of the
    first seconds of a run, and those outside of runs, come late.

    Args:
        put_task: runs a function in the thread of the window, soon.
        refresh: shows the records so far; called in that thread.
    """

    def __init__(
        self, put_task: Callable[[Callable[[], None]], None], refresh: Callable[[], None]
    ) -> None:
        super().__init__()
        self._put_task = put_task
        self._refresh = refresh
        self._is_due = False

    def emit(self, record: logging.LogRecord) -> None:
        """Ask for a refresh, unless one is due already."""
        if not self._is_due:
            self._is_due = True
            self._put_task(self._run)

    def _run(self) -> None:
        self._is_due = False
        self._refresh()
