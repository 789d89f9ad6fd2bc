"""Messages for flags with values that their fields do not accept."""

from __future__ import annotations

from pydantic import ValidationError

from ptychopinn_plugin.cli.options import POSITIONAL
from ptychopinn_plugin.config.validation_messages import fault_field, fault_sentence


def validation_sentences(error: ValidationError) -> list[str]:
    """Return one sentence for each value that a field does not take."""
    return [
        fault_sentence(fault, _flag(fault_field(fault)))
        for fault in error.errors(include_url=False)
    ]


def _flag(name: str) -> str:
    if not name or name in POSITIONAL:
        return name.upper()
    return f'--{name.replace("_", "-")}'
