"""Names of files in a list, spelled so that pydantic-settings does not take them apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

# No path that is typed begins with it; an empty name between slashes is never needed.
MARK = 'hexadecimal//'


def encode_name(name: str) -> str:
    """Return a name in letters and digits: lists are split at commas and unquoted as JSON."""
    return MARK + os.fsencode(name).hex()


def decode_name(value: object) -> object:
    """Return the name that `encode_name` was given; anything else as it is."""
    if isinstance(value, str) and value.startswith(MARK):
        return os.fsdecode(bytes.fromhex(value.removeprefix(MARK)))
    return value


FileName: TypeAlias = Annotated[Path, BeforeValidator(decode_name)]
"""A path in a list of positional arguments."""
