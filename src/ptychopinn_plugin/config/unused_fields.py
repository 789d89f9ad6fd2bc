"""Fields that have no effect on a run, and defaults that depend on the architecture."""

from __future__ import annotations

from typing import TypeVar

from pydantic.fields import FieldInfo

from ptychopinn_plugin.config.architectures import Architecture
from ptychopinn_plugin.config.base import Config, field_traits

AnyConfig = TypeVar('AnyConfig', bound=Config)


def why_unused(name: str, info: FieldInfo, architecture: Architecture | None) -> str:
    """Return why a field has no effect with an architecture and what to do, '' if it has one.

    Args:
        name: of the field.
        info: the field.
        architecture: that is trained or that of the model; None for physics alone.
    """
    traits = field_traits(info)
    if architecture is not None and architecture == traits.unused_by:
        advice = f'set {traits.instead} instead' if traits.instead else 'leave it out'
        return f'{name} has no effect with the architecture {architecture!r}; {advice}'
    if traits.architecture in (None, architecture):
        return ''
    return (
        f'{name} has an effect with the architecture {traits.architecture!r} only, '
        + (f'not with {architecture!r}' if architecture else 'and there is no model')
        + '; leave it out'
        + (f', or set architecture to {traits.architecture!r}' if architecture else '')
    )


def unused_fields(config: Config, architecture: Architecture | None) -> dict[str, str]:
    """Return the fields that were given another value than the default, and have no effect.

    Returns:
        The reasons by name, see `why_unused`.
    """
    reasons = {
        name: why_unused(name, info, architecture)
        for name, info in type(config).model_fields.items()
        if name in config.model_fields_set and getattr(config, name) != info.default
    }
    return {name: reason for name, reason in reasons.items() if reason}


def without_unused(config: AnyConfig, architecture: Architecture | None) -> AnyConfig:
    """Return a config whose fields without effect have their defaults."""
    fields = type(config).model_fields
    unused = {name: fields[name].default for name in unused_fields(config, architecture)}
    return config.model_copy(update=unused) if unused else config


def architecture_defaults(config: type[Config], architecture: Architecture) -> dict[str, object]:
    """Return the defaults that an architecture has of its own, by field."""
    traits = {name: field_traits(info) for name, info in config.model_fields.items()}
    return {
        name: each.defaults[architecture]
        for name, each in traits.items()
        if architecture in each.defaults
    }


def with_architecture_defaults(config: AnyConfig, architecture: Architecture) -> AnyConfig:
    """Return a config whose unset fields have the defaults of an architecture."""
    own = architecture_defaults(type(config), architecture)
    unset = {name: own[name] for name in own.keys() - config.model_fields_set}
    return config.model_copy(update=unset) if unset else config
