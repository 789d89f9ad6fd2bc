"""Plain sentences."""

from __future__ import annotations

from pydantic import ValidationError

from ptychopinn_plugin.cli.options import POSITIONAL


def validation_sentences(error: ValidationError) -> list[str]:
    """Return one sentence for each value that a field does not take."""
    sentences = []
    for fault in error.errors(include_url=False):
        names = [str(part) for part in fault['loc'] if isinstance(part, str)]
        reason = fault['msg'].removeprefix('Value error, ')
        if not names:
            sentences.append(reason)
            continue
        name = names[-1]
        flag = name.upper() if name in POSITIONAL else f'--{name.replace("_", "-")}'
        found = f', got {fault["input"]!r}' if fault['type'] != 'missing' else ''
        sentences.append(f'{flag}: {reason[:1].lower()}{reason[1:]}{found}')
    return sentences
