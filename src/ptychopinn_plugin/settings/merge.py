"""Merge settings from several sources, the weakest first, into configs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from ptychopinn_plugin.config import Config
from ptychopinn_plugin.config.validation_messages import fault_sentence
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.settings.suggestions import describe_unknown, section_by_field

logger = logging.getLogger(__name__)

Sections: TypeAlias = Mapping[str, type[Config]]


@dataclass(frozen=True)
class Source:
    """Some settings and where they come from.

    Attributes:
        name: for the log and the errors.
        values: by field.
        kind: `derived` from the data, `shared` by several runs as a file is, or `typed` for this
            run, where a setting without effect is a mistake.
        uses_legacy_names: whether names that PtychoPINN alone has were translated.
    """

    name: str
    values: Mapping[str, object]
    kind: Literal['derived', 'shared', 'typed'] = 'shared'
    uses_legacy_names: bool = False


def merge_sources(
    sections: Sections, sources: Sequence[Source], *, log_changes: bool = True
) -> dict[str, Config]:
    """Return one config a section, made of the values of all sources.

    Args:
        sections: the configs to make, by section.
        sources: by precedence, lowest first; a later one replaces values of the earlier.
        log_changes: whether every override is logged.

    Raises:
        ConfigError: with every unknown name and every value that its field does not take.
    """
    owners = section_by_field(sections)
    given: dict[str, dict[str, object]] = {section: {} for section in sections}
    faults = []
    for source in sources:
        for name, raw in source.values.items():
            if name not in owners:
                faults.append(describe_unknown(name, owners, source.name))
                continue
            section = owners[name]
            try:
                value = _validate_value(sections[section], name, raw)
            except ValidationError as error:
                faults += [f'{source.name}: {fault_sentence(f, name)}' for f in error.errors()]
                continue
            old = given[section].get(name, sections[section].model_fields[name].default)
            if log_changes and value != old:
                logger.info('%s.%s: %r -> %r (%s)', section, name, old, value, source.name)
            given[section][name] = value
    if faults:
        raise ConfigError(faults)
    return {section: _build(config, given[section]) for section, config in sections.items()}


def _validate_value(config: type[Config], name: str, raw: object) -> object:
    """Return a value converted to its field's type."""
    field = config.model_fields[name]
    adapter: TypeAdapter[object] = TypeAdapter(
        Annotated[field.annotation, field]  # type: ignore[arg-type]
    )
    return adapter.validate_python(raw)


def _build(config: type[Config], values: dict[str, object]) -> Config:
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise ConfigError([fault_sentence(fault, '') for fault in error.errors()]) from error
