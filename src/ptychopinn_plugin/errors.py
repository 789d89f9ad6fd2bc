"""Errors that this package raises, each also a built-in so that callers need not know us."""

from collections.abc import Sequence

# Longer messages are cut in their middle: a file may hold names and numbers of any length.
LONGEST_SENTENCE, LONGEST_MESSAGE = 600, 6000
MOST_FAULTS = 20


def printable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    r"""Return a text that is safe to print: it may hold anything that a file can hold.

    Args:
        text: of any content.
        longest: number of characters beyond which the middle is left out.

    Returns:
        The text, its characters that steer a terminal, turn the direction of writing or cannot be
        encoded as escapes such as `\x1b`; line ends stay.
    """
    if len(text) > longest:
        half = (longest - 5) // 2
        text = f'{text[:half]} ... {text[-half:]}'
    if text.isprintable():
        return text
    return ''.join(
        one if one.isprintable() or one in '\n\u00a0' else one.encode('unicode_escape').decode()
        for one in text
    )


def printable_line(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """Return a text that is safe to print as one line; see `printable`."""
    return printable(text.replace('\r\n', ' ').replace('\n', ' '), longest)


def _sentences(faults: Sequence[str]) -> tuple[str, ...]:
    """Return faults as lines that are safe to print, the first ones where there are many."""
    shown = tuple(printable_line(fault) for fault in faults[:MOST_FAULTS])
    more = len(faults) - MOST_FAULTS
    return (*shown, f'and {more} more') if more > 0 else shown


class PtychoPINNError(Exception):
    """Base of every error that this package raises on purpose; its text is safe to print."""

    def __str__(self) -> str:
        """Return the message, see `printable`."""
        return printable(super().__str__())


class ScanDataError(PtychoPINNError, ValueError):
    """A scan breaks the data contract.

    All faults of one scan are reported together.

    Attributes:
        faults: one sentence a fault.
    """

    def __init__(self, faults: Sequence[str], source: str = '') -> None:
        """Join the faults into one message, headed by the scan's source."""
        # PyTorch makes an error of a loader's process anew, from one text.
        self.faults = _sentences((faults,) if isinstance(faults, str) else faults)
        self.source = printable_line(source)
        head = f'{self.source}: ' if source else ''
        if len(self.faults) == 1:
            super().__init__(head + self.faults[0])
        else:
            super().__init__(
                f'{head}{len(self.faults)} faults:' + ''.join(f'\n- {f}' for f in self.faults)
            )


class UnknownBackendError(PtychoPINNError, ValueError):
    """A backend name other than 'tensorflow' and 'pytorch'."""


class BackendUnavailableError(PtychoPINNError, RuntimeError):
    """The chosen framework cannot be imported; another is never taken in its place."""


class ConfigError(PtychoPINNError, ValueError):
    """Settings that do not exist, or have values that they cannot have.

    Attributes:
        faults: one sentence a fault.
    """

    def __init__(self, faults: Sequence[str] | str) -> None:
        """Join the faults into one message."""
        self.faults = _sentences((faults,) if isinstance(faults, str) else faults)
        super().__init__('; '.join(self.faults))


class LegacyNameWarning(FutureWarning):
    """A setting is named as the research code does; it is translated."""


class SettingsValueError(PtychoPINNError, ValueError):
    """A setting of Ptychodus has a value that it cannot have."""


class PatchError(PtychoPINNError, ValueError):
    """Frames or patches do not fit the groups or the canvas that were asked for."""


class UnavailableError(PtychoPINNError, NotImplementedError):
    """A function needs a package that is not installed, or is not there yet."""


class ModelFileError(PtychoPINNError, ValueError):
    """A model file cannot be read, is incomplete or holds something it should not."""


class ModelMismatchError(PtychoPINNError, ValueError):
    """A model does not fit the scan or the request."""


class ResultFileError(PtychoPINNError, ValueError):
    """A result file cannot be read or is not one."""


class CheckpointError(PtychoPINNError, ValueError):
    """A training checkpoint cannot be resumed."""


class OutputError(PtychoPINNError, OSError):
    """A result cannot be written where it was asked for."""


class ReconstructionError(PtychoPINNError, RuntimeError):
    """A reconstruction produced values that are not finite and was given up."""


class BatchError(PtychoPINNError, RuntimeError):
    """Some of many scans could not be reconstructed."""


class CollapseError(PtychoPINNError, RuntimeError):
    """A training went to a state that it cannot learn from, and was stopped."""


class DivergenceError(CollapseError):
    """The loss of a training is not finite any more."""


class OutOfMemoryError(PtychoPINNError, MemoryError):
    """The device has too little memory, also for small batches."""


class ProcessLostError(PtychoPINNError, RuntimeError):
    """Another process of the same reconstruction ended, or could not be reached."""


class WorkerError(PtychoPINNError, RuntimeError):
    """The worker process could not be started, or failed in a way that it did not expect."""


class WorkerDiedError(WorkerError):
    """The worker process ended in the middle of a job; the next job starts a fresh one.

    Attributes:
        exit_code: of the process; minus the number of the signal that killed it; None if unknown.
        last_lines: the last lines that it wrote to standard error.
    """

    def __init__(
        self, message: str, exit_code: int | None = None, last_lines: Sequence[str] = ()
    ) -> None:
        """Keep what is known of the end."""
        super().__init__(message)
        self.exit_code = exit_code
        self.last_lines = tuple(last_lines)


class Cancelled(PtychoPINNError):  # noqa: N818  (a request that was met, not an error)
    """The caller asked for a stop."""
