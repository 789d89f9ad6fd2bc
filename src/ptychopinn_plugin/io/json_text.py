"""JSON from files: what cannot be parsed is a ValueError, whatever the reason."""

from __future__ import annotations

import json
import math


def parse_json(text: str) -> object:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or has an integer of too many digits.
    """
    try:
        value: object = json.loads(text)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error
    return value


def as_float(number: float) -> float:
    """Return a number as float, infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
