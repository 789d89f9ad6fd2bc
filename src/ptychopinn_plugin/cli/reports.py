"""Messages and exit codes of commands that failed."""

from __future__ import annotations

import sys
import traceback

from pydantic import ValidationError
from pydantic_settings import SettingsError

from ptychopinn_plugin import errors
from ptychopinn_plugin.cli.options import Ptychopinn
from ptychopinn_plugin.cli.sentences import validation_sentences
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.flag_names import with_flags

LONGEST_TRACEBACK = 100_000
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

# What ends a command with a message.
REPORTED = (
    errors.PtychoPINNError,
    SettingsError,
    ValidationError,
    OSError,
    MemoryError,
    KeyboardInterrupt,
)
_BAD_INPUT = (
    UsageError,
    errors.CheckpointError,
    errors.ConfigError,
    errors.ModelFileError,
    errors.ModelMismatchError,
    errors.PatchError,
    errors.ResultFileError,
    errors.ScanDataError,
    errors.UnknownBackendError,
)


def report(error: BaseException, words: list[str]) -> int:
    """Print what went wrong; return the exit code.

    Args:
        error: one of `REPORTED`.
        words: of the command, for its help and --debug.
    """
    if '--debug' in words:
        lines = ''.join(traceback.format_exception(error))
        print(errors.printable(lines, LONGEST_TRACEBACK), file=sys.stderr)
    code, sentence = _explain(error, words)
    print(f'ptychopinn: {errors.printable(with_flags(sentence))}', file=sys.stderr)
    return code


def _explain(error: BaseException, words: list[str]) -> tuple[int, str]:
    """Return the exit code and the message of an error."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, 'interrupted'
    if isinstance(error, errors.Cancelled):
        return INTERRUPTED, str(error) or 'interrupted'
    if isinstance(error, SettingsError):
        return BAD_INPUT, f'{str(error).removeprefix("error parsing CLI: ")}; see {_help(words)}'
    if isinstance(error, ValidationError):
        return BAD_INPUT, '; '.join(validation_sentences(error)) + f'; see {_help(words)}'
    if isinstance(error, MemoryError):
        return FAILED, f'not enough memory ({error})' if str(error) else 'not enough memory'
    return BAD_INPUT if isinstance(error, _BAD_INPUT) else FAILED, str(error)


def _help(words: list[str]) -> str:
    command = words[0] if words and words[0] in Ptychopinn.model_fields else ''
    return ' '.join(filter(None, ('ptychopinn', command, '--help')))
