"""Logs and progress on standard error while a command runs; results on standard output."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING

from ptychopinn_plugin.config.flag_names import with_flags
from ptychopinn_plugin.config.wording import duration
from ptychopinn_plugin.errors import printable
from ptychopinn_plugin.monitor import Monitor, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

logger = logging.getLogger(__name__)

# Network and solver take turns in one count of steps.
_BAR_NAMES = {'network': 'reconstruction', 'solver': 'reconstruction', 'train': 'training'}
_SECONDS_BETWEEN_LINES = 10.0


class ConsoleHandler(logging.Handler):
    """Writes records to standard error, through the console that the bars use too."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self.console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, warnings marked as such."""
        mark = f'{record.levelname.lower()}: ' if record.levelno >= logging.WARNING else ''
        self.console.print(printable(f'{mark}{with_flags(self.format(record))}'))


def set_up_logging(*, quiet: bool, debug: bool) -> None:
    """Send the package's remarks to standard error, through the console of the progress bars."""
    package = logging.getLogger('ptychopinn_plugin')
    package.handlers = [ConsoleHandler()]
    package.propagate = False
    package.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)


def echo(line: str) -> None:
    """Print one line of results on standard output."""
    print(printable(line))


def echo_json(text: str) -> None:
    """Print JSON on standard output, all of it: cut short it could not be read."""
    print(printable(text, len(text)))


class CommandMonitor(Monitor):
    """Shows progress on standard error; stops the job when Ctrl-C is pressed.

    Use it as a context manager. A terminal gets a moving bar with the loss and the time left, a
    file or a batch queue's log gets a line now and then, `quiet` gets nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = float('-inf')
        self._validation = ''  # taken now and then, shown until the next one
        self._stop = False

    def request_stop(self) -> None:
        """Ask the job to stop at its next step."""
        self._stop = True

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop

    def should_stop(self) -> bool:
        """Say whether Ctrl-C was pressed."""
        return self._stop

    def on_progress(self, progress: Progress) -> None:
        """Show one step."""
        if self._bars is not None:
            self._move_bar(self._bars, progress)
        elif not self._quiet:
            self._write_line(progress)

    def __enter__(self) -> CommandMonitor:
        """Start the bars, where there is a terminal to show them on."""
        console = _log_console()
        if console.is_terminal and not self._quiet:
            self._bars = _make_bars(console)
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state of the bars on the screen."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _move_bar(self, bars: Bars, progress: Progress) -> None:
        name = _BAR_NAMES.get(progress.stage, progress.stage)
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, loss='', left='')
        loss, left = self._losses(progress), _time_left(progress)
        bars.update(
            self._tasks[name],
            completed=progress.step,
            total=progress.total,
            loss=loss,
            left=f'left {left}' if left else '',
        )

    def _write_line(self, progress: Progress) -> None:
        last = progress.step >= progress.total
        if not last and progress.seconds - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = progress.seconds
        name = _BAR_NAMES.get(progress.stage, progress.stage)
        loss, seconds = self._losses(progress), progress.seconds
        left = '' if last else _time_left(progress)
        logger.info(
            '%s %d/%d  %s  %.1f s%s',
            name,
            progress.step,
            progress.total,
            loss,
            seconds,
            f', about {left} to come' if left else '',
        )

    def _losses(self, progress: Progress) -> str:
        if progress.validation_loss is not None:
            self._validation = f', validation {progress.validation_loss:.4g}'
        return f'loss {progress.loss:.4g}{self._validation}'


def _time_left(progress: Progress) -> str:
    """Return the time to come in words, '' where it is not known."""
    left = progress.seconds_left
    if left is None and progress.stage != 'train':
        # Passes take equal times; the first epoch of a training takes longer than the others.
        left = progress.seconds / progress.step * (progress.total - progress.step)
    return '' if left is None else duration(left)


def _make_bars(console: Console) -> Bars:
    from rich import progress as rich_progress

    return rich_progress.Progress(
        rich_progress.TextColumn('{task.description}'),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn('{task.fields[loss]}'),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TextColumn('{task.fields[left]}'),
        console=console,
    )


def _log_console() -> Console:
    """Return the console that the logs go to, so that they do not tear the bars."""
    handlers = logging.getLogger('ptychopinn_plugin').handlers
    ours = [handler for handler in handlers if isinstance(handler, ConsoleHandler)]
    return (ours or [ConsoleHandler()])[0].console
