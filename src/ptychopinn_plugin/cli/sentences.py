"""Messages for flags with values that their fields do not accept."""

from __future__ import annotations

import re

from pydantic import ValidationError

from ptychopinn_plugin.cli.options import POSITIONAL
from ptychopinn_plugin.config.validation_messages import fault_field, fault_sentence

# How sentences of the package name a way to read a scan: load_scan(dc='corner'), =True, =...
_WAY_TO_READ = re.compile(r"load_scan\((\w+)=(?:'(\w+)'|\.\.\.|True)\)")


def with_flags(sentence: str) -> str:
    """Return a sentence with the flags of this command line for the options of `load_scan`."""

    def flag(found: re.Match[str]) -> str:
        return ' '.join(filter(None, (_flag(found[1]), found[2])))

    return _WAY_TO_READ.sub(flag, sentence)


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
