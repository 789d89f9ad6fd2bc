"""Settings from several sources, the weakest first, put together into configs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from ptychopinn_plugin.config import Config
from ptychopinn_plugin.config.validation_messages import fault_sentence
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.settings.suggestions import owners, unknown

logger = logging.getLogger(__name__)

Sections: TypeAlias = Mapping[str, type[Config]]


@dataclass(frozen=True)
class Source:
    """Some settings and where they come from.

    Attributes:
        name: as the log and the errors tell it.
        values: by field.
    """

    name: str
    values: Mapping[str, object]


def merged(
    sections: Sections, sources: Sequence[Source], *, told: bool = True
) -> dict[str, Config]:
    """Return the configs that the sources give together.

    Args:
        sections: the configs to make, by section.
        sources: the weakest first; a later one wins.
        told: whether every override is logged.

    Raises:
        ConfigError: with every unknown name and every value that its field does not take.
    """
    section_of = owners(sections)
    given: dict[str, dict[str, object]] = {section: {} for section in sections}
    faults = []
    for source in sources:
        for name, raw in source.values.items():
            if name not in section_of:
                faults.append(unknown(name, section_of, source.name))
                continue
            section = section_of[name]
            try:
                value = _checked(sections[section], name, raw)
            except ValidationError as error:
                faults += [f'{source.name}: {fault_sentence(f, name)}' for f in error.errors()]
                continue
            old = given[section].get(name, sections[section].model_fields[name].default)
            if told and value != old:
                logger.info('%s.%s: %r -> %r (%s)', section, name, old, value, source.name)
            given[section][name] = value
    if faults:
        raise ConfigError(faults)
    return {section: _made(config, given[section]) for section, config in sections.items()}


def _checked(config: type[Config], name: str, raw: object) -> Any:  # noqa: ANN401
    """Return a value as its field takes it."""
    field = config.model_fields[name]
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[field.annotation, field]  # type: ignore[arg-type]
    )
    return adapter.validate_python(raw)


def _made(config: type[Config], values: dict[str, object]) -> Config:
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise ConfigError([fault_sentence(fault, '') for fault in error.errors()]) from error
