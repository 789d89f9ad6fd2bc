"""Sentences of the command line: what was found, and values that flags do not accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from ptychopinn_plugin.cli.options import POSITIONAL
from ptychopinn_plugin.config.flag_names import flag_name, with_flags
from ptychopinn_plugin.config.validation_messages import fault_field, fault_sentence

if TYPE_CHECKING:
    # A help text waits for no SciPy.
    from ptychopinn_plugin.scan import Reconstruction


def finding_lines(result: Reconstruction) -> list[str]:
    """Return what was found of a result, a line each: the remarks, and whether it is wrong."""
    lines = [f'found: {remark}' for remark in result.remarks]
    if result.warning:
        lines.append(f'warning: the object is probably wrong: {result.warning}')
    return [with_flags(line) for line in lines]


def validation_sentences(error: ValidationError) -> list[str]:
    """Return one sentence for each value that a field does not take."""
    return [
        fault_sentence(fault, _flag(fault_field(fault)))
        for fault in error.errors(include_url=False)
    ]


def _flag(name: str) -> str:
    if not name or name in POSITIONAL:
        return name.upper()
    return flag_name(name)
