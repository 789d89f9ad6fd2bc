"""Messages for values that a field does not accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def fault_field(fault: ErrorDetails) -> str:
    """Return the field that a fault is about, '' for one of several fields together."""
    names = [str(part) for part in fault['loc'] if isinstance(part, str)]
    return names[-1] if names else ''


def fault_sentence(fault: ErrorDetails, name: str) -> str:
    """Return what a value should be and what it is.

    Args:
        fault: one of `ValidationError.errors()`.
        name: of the field, as the user writes it; '' where the sentence names its fields itself.
    """
    reason = fault['msg'].removeprefix('Value error, ')
    if not name:
        return reason
    found = f', got {fault["input"]!r}' if fault['type'] != 'missing' else ''
    return f'{name}: {reason[:1].lower()}{reason[1:]}{found}'
