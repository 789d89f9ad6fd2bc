"""Settings in a file: TOML or YAML, in sections or flat."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.settings.legacy import has_legacy_names, translate_legacy
from ptychopinn_plugin.settings.merge import Source, merge_sources
from ptychopinn_plugin.settings.runs import SECTIONS
from ptychopinn_plugin.settings.suggestions import describe_unknown

if TYPE_CHECKING:
    from yaml import MappingNode

YAML_ENDINGS = ('.yaml', '.yml')
# Every setting with its help takes some 20 kB; sections are two levels deep.
LARGEST_FILE, DEEPEST_NESTING = 500_000, 20
LARGEST_INTEGER = 2**63


def read_file(path: Path, *sections: str) -> Source:
    """Read the settings of some sections, see `_read_file`; whatever is wrong is a ConfigError."""
    with reading(ConfigError, f'{path} is no file of settings'):
        return _read_file(path, *sections)


def _read_file(path: Path, *sections: str) -> Source:
    """Read the settings of some sections; the others are checked only.

    A name stands in its section (`[model]`, `[training]`, `[inference]`, `[execution]`,
    `[orientation]`) or outside of any; there it holds for every section that has it.
    `n-groups` is `n_groups`.

    Args:
        path: a .toml, .yaml or .yml file.
        *sections: those wanted.

    Raises:
        ConfigError: with every fault of the file.
    """
    content = _parse(path)
    faults: list[str] = []
    by_section = _split_sections(content, path, faults)
    for section, values in by_section.items():
        try:
            merge_sources(
                {section: SECTIONS[section]}, [Source(path.name, values)], log_changes=False
            )
        except ConfigError as error:
            faults += error.faults
    if faults:
        # A value outside of the sections may be a fault of several.
        raise ConfigError(sorted(set(faults)))
    wanted = {name: value for section in sections for name, value in by_section[section].items()}
    return Source(path.name, wanted, uses_legacy_names=has_legacy_names(_all_names(content)))


def _all_names(content: Mapping[str, object]) -> Iterator[str]:
    """Yield the names in all sections and outside of any."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _all_names(value)
        else:
            yield str(name)


def _split_sections(
    content: Mapping[str, object], path: Path, faults: list[str]
) -> dict[str, dict[str, object]]:
    """Return the known values by section; add what is wrong with the rest to the faults."""
    flat = _table({k: v for k, v in content.items() if k not in SECTIONS}, path, faults)
    found: dict[str, dict[str, object]] = {}
    for section, config in SECTIONS.items():
        stored = content.get(section, {})
        if not isinstance(stored, Mapping):
            faults.append(f'{path.name}: {section} must be a section with names and values')
            continue
        own = _table(stored, path, faults)
        known = config.model_fields
        faults += [_describe_foreign(name, section, path) for name in own.keys() - known]
        outside = {name: value for name, value in flat.items() if name in known}
        faults += [
            f'{path.name}: {name} stands twice, in [{section}] and outside; leave one out'
            for name in sorted(own.keys() & outside)
        ]
        both = {**outside, **own}
        found[section] = {name: value for name, value in both.items() if name in known}
    every = {name for config in SECTIONS.values() for name in config.model_fields}
    faults += [
        describe_unknown(name, every | SECTIONS.keys(), path.name) for name in flat.keys() - every
    ]
    return found


def _describe_foreign(name: str, section: str, path: Path) -> str:
    """Return the sentence for a name that is no setting of its section."""
    owners = [f'[{other}]' for other, config in SECTIONS.items() if name in config.model_fields]
    if owners:
        return (
            f'{path.name} [{section}]: {name} is a setting of {" and ".join(owners)}; move it there'
        )
    return describe_unknown(name, SECTIONS[section].model_fields, f'{path.name} [{section}]')


def _table(stored: Mapping[Any, object], path: Path, faults: list[str]) -> dict[str, object]:
    """Return names and plain values of a section, in the names used here."""
    table: dict[str, object] = {}
    for key, value in stored.items():
        if not isinstance(key, str):
            faults.append(f'{path.name}: a name is {_shown(key)}; it must be a word')
            continue
        name = key.replace('-', '_')
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            faults.append(f'{path.name}: the number of {name} is too large')
        elif isinstance(value, Mapping | list | set | tuple):
            kind = 'a section' if isinstance(value, Mapping) else 'a list'
            faults.append(f'{path.name}: {name} is {kind}; it must be one value')
        elif name in table:
            faults.append(f'{path.name}: {name} stands twice; leave one out')
        else:
            table[name] = value
    try:
        return translate_legacy(table)
    except ConfigError as error:
        faults += [f'{path.name}: {fault}' for fault in error.faults]
        return {}


def _parse(path: Path) -> Mapping[str, object]:
    if fault := why_not_a_file(path):
        raise ConfigError([fault])
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError([f'{path} is larger than {LARGEST_FILE} bytes; it holds no settings'])
        text = path.read_text(encoding='utf-8-sig')  # some editors write a byte order mark
    except FileNotFoundError:
        raise ConfigError([f'there is no configuration file {path}']) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f'the configuration file {path} cannot be read: {error}']) from error
    if path.suffix.lower() == '.toml':
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f'{path} is no TOML file: {error}']) from error
    if path.suffix.lower() in YAML_ENDINGS:
        return _parse_yaml(path, text)
    raise ConfigError(
        [f'{path} ends in {path.suffix!r}; a configuration file ends in .toml, .yaml or .yml']
    )


def _parse_yaml(path: Path, text: str) -> Mapping[str, object]:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Safe, without aliases, strict about keys that stand twice, of which YAML takes the last.

        Aliases of aliases make a file of a few lines as large as one likes.
        """

        depth = 0

        def compose_node(self, parent: object, index: object) -> object:
            """Return the next node, or refuse an alias or too deep a nesting."""
            if self.check_event(yaml.events.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.composer.ComposerError(None, None, 'write values, no aliases', mark)
            self.depth += 1
            if self.depth > DEEPEST_NESTING:
                mark = self.peek_event().start_mark
                raise yaml.composer.ComposerError(None, None, 'it is nested too deeply', mark)
            node: object = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
            """Return a mapping's names and values, or refuse a name that stands twice."""
            for key in _duplicate_keys(node):
                raise yaml.constructor.ConstructorError(
                    None, None, f'{key} stands twice', node.start_mark
                )
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        problem = ' '.join(str(error).split())
        raise ConfigError([f'{path} is no YAML file of settings: {problem}']) from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ConfigError([f'{path} must hold names and values, it holds {_shown(content)}'])
    return content


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return 'binary data'
    try:
        return repr(value)[:40]
    except ValueError:  # integers of very many digits
        return 'a very large number'


def _duplicate_keys(node: MappingNode) -> Iterator[str]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            yield str(key.value)
        seen.add(str(key.value))
