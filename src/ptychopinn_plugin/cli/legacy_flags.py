"""Translate flags of the research code into those of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ptychopinn_plugin.cli.options import command_class
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.architectures import PUBLISHED
from ptychopinn_plugin.config.base import field_traits
from ptychopinn_plugin.config.legacy_names import (
    FILE_NAMES,
    GENERAL_NAMES,
    OLD_NAMES,
    OLD_VALUES,
    REPLACED_FLAGS,
    SWITCHED_OFF,
)

# The path that a command takes as its first word, by the name that the research code has for it.
_SCANS = {'train': 'train_data', 'reconstruct': 'test_data'}


def translate_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words with today's flags, and a remark for each that was an old one.

    Names that PtychoPINN alone has select its network, unless a network or a file is named.

    Args:
        words: after `ptychopinn`.

    Raises:
        UsageError: a flag is typed under both names, or has its meaning in another flag.
    """
    if not words:
        return [], []
    _refuse_replaced(words)
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
        meaning = ' '.join(new)
        if flag == new[0].replace('--no-', '--', 1) and flag != new[0]:
            flag = f'{flag} {value}'
        remarks.append(f'{flag} is an old name; it is now {meaning}')
        _refuse_twice(flag, new, words)
        done += new
    if words[0] == 'train' and _asks_for_published_network(words, fields):
        done += ['--architecture', PUBLISHED]
        remarks.append(
            'these are flags of PtychoPINN, so its network is trained: '
            f'--architecture {PUBLISHED}; type --architecture unrolled for the other one'
        )
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
        return ([f'--no-{_flag(name)[2:]}'] if off is False else [_flag(name), str(off)]), False
    if FILE_NAMES.get(old) == _SCANS.get(command, '') and value:
        return [value], True
    name = OLD_NAMES.get(old, old)
    if name not in fields:
        return None, False
    today = OLD_VALUES.get((name, value), value)
    is_switch = fields[name].annotation is bool
    if flag == _flag(name) and today == value and not (is_switch and _is_truth(value)):
        return None, False
    if is_switch:
        off = value.lower() == 'false'
        return [f'--no-{_flag(name)[2:]}' if off else _flag(name)], _is_truth(value)
    return [_flag(name), str(today)] if value else [_flag(name)], bool(value)


def _asks_for_published_network(words: Sequence[str], fields: Mapping[str, FieldInfo]) -> bool:
    """Return whether a name that PtychoPINN alone has was typed, and neither network nor file."""
    flags = [word.partition('=')[0] for word in words if word.startswith('--')]
    if {'--architecture', '--config'} & set(flags):
        return False
    known = {*OLD_NAMES, *SWITCHED_OFF, *FILE_NAMES} - GENERAL_NAMES
    return any(
        flag[2:].replace('-', '_') in known
        or flag.startswith(('--torch-', '--torch_'))
        or ('_' in flag and _is_of_published_network(flag[2:], fields))
        for flag in flags
    )


def _is_of_published_network(name: str, fields: Mapping[str, FieldInfo]) -> bool:
    return name in fields and field_traits(fields[name]).architecture == PUBLISHED


def _refuse_replaced(words: Sequence[str]) -> None:
    """Refuse flags whose meaning is in another flag here, with its name."""
    replaced = REPLACED_FLAGS.get(words[0], {})
    faults = []
    for word in words:
        flag = word.partition('=')[0]
        old = flag[2:].replace('-', '_').removeprefix('torch_') if flag.startswith('--') else ''
        if old in replaced:
            faults.append(f'{flag} of PtychoPINN is not taken here: {replaced[old]}')
    if faults:
        raise UsageError('; '.join(faults))


def _is_truth(value: str) -> bool:
    return value.lower() in ('true', 'false')


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _refuse_twice(flag: str, new: Sequence[str], words: Sequence[str]) -> None:
    typed = {word.partition('=')[0] for word in words}
    if new and new[0].startswith('--') and new[0] in typed and new[0] != flag:
        raise UsageError(f'{flag} is {new[0]}, which is typed too; leave one out')
