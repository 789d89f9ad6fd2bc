"""Messages in the status pane of Ptychodus, which shows what this logger is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.config.flag_names import replace_ways_to_read
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.errors import Cancelled, PtychoPINNError
from ptychopinn_plugin.scan import Reconstruction

# The library passes this name to Ptychodus, which shows the loggers below it too.
package_logger = logging.getLogger('ptychopinn_plugin')

# Where Ptychodus itself offers a way to read a scan; else a file is converted before.
_OF_PTYCHODUS = {
    'mask': '"Apply Bad Pixels Mask" where Ptychodus opens the patterns',
    'probe': 'the Probe page of Ptychodus',
}


def in_words_of_ptychodus(sentence: str) -> str:
    """Return a sentence with what a user of Ptychodus does in place of options of `load_scan`.

    Settings stay as they are: they have the same names in Ptychodus' settings.
    """
    return replace_ways_to_read(
        sentence, lambda name, flag: _OF_PTYCHODUS.get(name, f'`ptychopinn convert {flag}`')
    )


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
        text = in_words_of_ptychodus(str(error))
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
        package_logger.info('Found: %s', in_words_of_ptychodus(remark))
    if result.warning:
        package_logger.warning('Probably wrong: %s', in_words_of_ptychodus(result.warning))


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
