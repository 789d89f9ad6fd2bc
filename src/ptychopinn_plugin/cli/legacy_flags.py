"""Translate flags of the research code into those of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ptychopinn_plugin.cli.options import command_class
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.legacy_names import FILE_NAMES, OLD_NAMES, OLD_VALUES, SWITCHED_OFF

# The path that a command takes as its first word, by the name that the research code has for it.
_SCANS = {'train': 'train_data', 'reconstruct': 'test_data'}


def translate_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words with today's flags, and a remark for each that was an old one.

    Old flags without a counterpart of the same meaning are left as they are, to be refused.

    Args:
        words: after `ptychopinn`.

    Raises:
        UsageError: a flag is typed under both names.
    """
    if not words:
        return [], []
    command = command_class(words[0])
    fields = command.model_fields if issubclass(command, BaseModel) else {}
    done, remarks = [words[0]], []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition('=')
        if not equals and rest and not rest[0].startswith('--'):
            value = rest[0]
        new, used = _modern(words[0], flag, value, fields)
        if new is None:
            done.append(word)
            continue
        if used and not equals:
            rest.pop(0)
        meaning = ' '.join(new) if new else 'the default'
        remarks.append(f'{flag} is an old name; it is now {meaning}')
        _refuse_twice(flag, new, words)
        done += new
    return done, remarks


def _modern(
    command: str, flag: str, value: str, fields: Mapping[str, FieldInfo]
) -> tuple[list[str] | None, bool]:
    """Return a flag and its value in today's words, and whether the value was used.

    None stands for a flag that is none of the old ones.
    """
    if not flag.startswith('--') or not fields:
        return None, False
    old = flag[2:].replace('-', '_').removeprefix('torch_')
    if old in SWITCHED_OFF and SWITCHED_OFF[old][0] in fields:
        name, off = SWITCHED_OFF[old]
        return [_flag(name), off], False
    if FILE_NAMES.get(old) == _SCANS.get(command, '') and value:
        return [value], True
    name = OLD_NAMES.get(old, old)
    today = OLD_VALUES.get((name, value), value)
    if name not in fields or (flag == _flag(name) and today == value):
        return None, False
    if fields[name].annotation is bool:
        return _switch(name, value, default=bool(fields[name].default))
    return [_flag(name), str(today)] if value else [_flag(name)], bool(value)


def _switch(name: str, value: str, *, default: bool) -> tuple[list[str], bool]:
    """Return a flag that is on or off, where the old one may have had True or False behind it."""
    said = value.lower() in ('true', 'false')
    if value.lower() != 'false':
        return [_flag(name)], said
    return [f'--no-{_flag(name)[2:]}'] if default else [], said


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _refuse_twice(flag: str, new: Sequence[str], words: Sequence[str]) -> None:
    typed = {word.partition('=')[0] for word in words}
    if new and new[0].startswith('--') and new[0] in typed and new[0] != flag:
        raise UsageError(f'{flag} is {new[0]}, which is typed too; leave one out')
