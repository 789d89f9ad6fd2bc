"""Parse a command with pydantic-settings; arrange its help in groups."""

from __future__ import annotations

import inspect
import itertools
from argparse import (
    Action,
    ArgumentParser,
    BooleanOptionalAction,
    Namespace,
    RawDescriptionHelpFormatter,
    _ArgumentGroup,
)
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import CliSettingsSource, SettingsError

from ptychopinn_plugin.cli.file_names import encode_name
from ptychopinn_plugin.cli.options import GROUPS, Ptychopinn, command_class
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.config.base import (
    SWITCH_VALUES,
    field_traits,
    help_text,
    is_switch,
    switch_value,
)

_METAVARS = {'Path': 'PATH', 'int': 'N', 'float': 'X'}
_ADVANCED = 'advanced'
_TITLES = [*list(GROUPS.values())[:-1], _ADVANCED, list(GROUPS.values())[-1]]


def parse(words: Sequence[str]) -> tuple[CliSettingsSource[Any], Namespace]:
    """Parse the words after `ptychopinn`.

    Raises:
        SettingsError: unknown or missing flags.
        SystemExit: `--help` was asked for and has been printed.
    """
    source: CliSettingsSource[Any] = CliSettingsSource(
        Ptychopinn, add_argument_method=_add_argument, formatter_class=HelpFormatter
    )
    try:
        parsed: Namespace = source.root_parser.parse_args(spell_out_switches(words))
    except SettingsError as error:
        raise SettingsError(_wrong_switch(words, str(error)) or str(error)) from error
    for name, value in vars(parsed).items():
        if isinstance(value, list):
            setattr(parsed, name, [encode_name(word) for word in value])
    return source, parsed


def spell_out_switches(words: Sequence[str]) -> list[str]:
    """Return the words with a value at every field that is on, off or decided from the data.

    `--update-probe` alone is `--update-probe=on`, `--no-update-probe` is `--update-probe=off`.

    Args:
        words: after `ptychopinn`; the first is the command.
    """
    switches = _switches(words)
    if not switches:
        return list(words)
    spelled = []
    for word, following in zip(words, [*words[1:], ''], strict=True):
        positive = word.replace('--no-', '--', 1)
        if word in switches and switch_value(following) not in SWITCH_VALUES:
            word = f'{word}=on'
        elif positive in switches and positive != word:
            word = f'{positive}=off'
        spelled.append(word)
    return spelled


def _switches(words: Sequence[str]) -> frozenset[str]:
    """Return the flags of a command whose fields are on, off or decided from the data."""
    known = dict.fromkeys(Ptychopinn.model_fields)
    if not words or words[0] not in known or words[0] == 'version':
        return frozenset()
    fields = getattr(command_class(words[0]), 'model_fields', {})
    return frozenset(
        f'--{name.replace("_", "-")}' for name, field in fields.items() if is_switch(field)
    )


def _wrong_switch(words: Sequence[str], message: str) -> str:
    """Return which values a flag takes whose value was not recognized, '' where there is none."""
    _, _, rest = message.partition('unrecognized arguments: ')
    unknown, switches = rest.partition(';')[0].split(), _switches(words)
    for word, following in itertools.pairwise(words):
        if word in switches and following in unknown:
            return f'{word} takes {" | ".join(SWITCH_VALUES)}, got {following!r}'
    return ''


class HelpFormatter(RawDescriptionHelpFormatter):
    """A short usage line, and no empty defaults."""

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[Action],
        groups: Iterable[Any],
        prefix: str | None,
    ) -> str:
        needed = [action for action in actions if action.required or not action.option_strings]
        # The parser also asks for a usage without prefix, to name its subcommands.
        self._prog += ' [options]' if prefix is None else ''
        return super()._format_usage(usage, needed, (), prefix)

    def add_text(self, text: str | None) -> None:
        """Take a docstring's indentation off."""
        super().add_text(text and inspect.cleandoc(text))

    def _get_help_string(self, action: Action) -> str:
        text = super()._get_help_string(action) or ''
        for empty in (' (default: null)', ' (default: False)', ' (required)'):
            text = text.replace(empty, '')
        return text


def _add_argument(parser: ArgumentParser, *names: str, **options: Any) -> Action:  # noqa: ANN401
    """Add an argument in the group of the class that declares it."""
    options['metavar'] = _METAVARS.get(options.get('metavar', ''), options.get('metavar'))
    if options['metavar'] is None:
        del options['metavar']
    command, _, field = str(options.get('dest', '')).partition('.')
    if field and options.get('action') in ('store_true', 'store_false'):
        # Both forms: a typed flag can undo what a file says, whatever the default is.
        names = tuple(name.replace('--no-', '--', 1) for name in names)
        options['action'] = BooleanOptionalAction
    found = _declaration(command, field)
    if found is None:
        return parser.add_argument(*names, **options)
    title, info = found
    traits = field_traits(info)
    _, default, value = options['help'].partition(' (default:')
    unit = f' [{traits.unit}]' if traits.unit else ''
    options['help'] = f'{help_text(info)}{unit}{default}{value}'
    return _group(parser, title).add_argument(*names, **options)


def _declaration(command: str, name: str) -> tuple[str, FieldInfo] | None:
    """Return the group of a flag that a shared class declares, and its field in the command."""
    for declaring, title in GROUPS.items():
        own = name in declaring.model_fields and name in declaring.__annotations__
        if own and issubclass(command_class(command), declaring):
            info = command_class(command).model_fields[name]
            # In a command these stand with the other flags on how the file is read.
            folded = field_traits(info).advanced and declaring is not OrientationConfig
            return _ADVANCED if folded else title, info
    return None


def _group(parser: ArgumentParser, title: str) -> _ArgumentGroup:
    groups = {group.title: group for group in parser._action_groups}
    if title not in groups:
        # All at once: they are shown in the order they are made, and not where they stay empty.
        groups = {t: parser.add_argument_group(t) for t in dict.fromkeys(_TITLES)}
    return groups[title]
