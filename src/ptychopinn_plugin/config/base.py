"""Base class of the configs and the declaration of a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from ptychopinn_plugin.config.architectures import Architecture
from ptychopinn_plugin.config.backend_names import Backend

Job: TypeAlias = Literal['training', 'reconstruction']
SWITCH_VALUES = ('auto', 'on', 'off')
_ON = {'true', 'yes', '1'}
_OFF = {'false', 'no', '0'}


def switch_value(value: object) -> object:
    """Return 'on' or 'off' for a value that says yes or no, any other value as it is.

    What was on or off before it could be `auto` still has True or False in files and programs.
    """
    word = str(value).lower()
    if word in _ON | _OFF:
        return 'on' if word in _ON else 'off'
    return word if isinstance(value, str) else value


Switch: TypeAlias = Annotated[Literal['auto', 'on', 'off'], BeforeValidator(switch_value)]
"""A field that is on, off, or decided from the data; it takes True and False too."""


class Config(BaseModel):
    """Base of the configs: frozen, unknown fields refused, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra='forbid', validate_default=True, protected_namespaces=()
    )


@dataclass(frozen=True)
class FieldTraits:
    """Properties of a field that pydantic has no place for.

    Attributes:
        unit: of the value, '' for a plain number.
        advanced: whether help and a graphical page show the field separately from the common ones.
        architecture: the only architecture that uses the field, None if all do.
        backend: the only backend that uses the field, None if all do.
        unused_by: the architecture whose models do not use the field, None if there is none.
        label: of the field in a graphical page.
        group: heading of the field in a graphical page, '' for that of its config.
        zero: what 0 stands for, shown in its place, '' where it is a number like others.
        job: the only job that uses the field, None if both do.
        defaults: of architectures with another default than the field's.
        instead: the field that stands in place of this one for `unused_by`.
        file: whether the value is the path of a file, for which a graphical page has a dialog.
        folder: whether it is the path of a folder.
    """

    unit: str = ''
    advanced: bool = False
    architecture: Architecture | None = None
    backend: Backend | None = None
    unused_by: Architecture | None = None
    label: str = ''
    group: str = ''
    zero: str = ''
    job: Job | None = None
    defaults: Mapping[Architecture, object] = field(default_factory=dict)
    instead: str = ''
    file: bool = False
    folder: bool = False


def setting(
    default: Any,
    description: str,
    *,
    unit: str = '',
    advanced: bool = False,
    architecture: Architecture | None = None,
    backend: Backend | None = None,
    unused_by: Architecture | None = None,
    label: str = '',
    group: str = '',
    zero: str = '',
    job: Job | None = None,
    defaults: Mapping[Architecture, int | float | str] | None = None,
    instead: str = '',
    file: bool = False,
    folder: bool = False,
    **constraints: Any,
) -> Any:
    """Declare a field once: default, range, unit and help.

    The command line, the Ptychodus settings and the reference page are made from it.

    Args:
        default: the value of a field that no source sets.
        description: one sentence of help.
        unit: of the value, '' for a plain number.
        advanced: True folds the field away in a graphical page.
        architecture: the only architecture that uses the field, None if all do.
        backend: the only backend that uses the field, None if all do.
        unused_by: the architecture whose models do not use the field, None if there is none.
        label: of the field in a graphical page; '' for its name with spaces.
        group: heading of the field in a graphical page, '' for that of its config.
        zero: what 0 stands for, as 'automatic'; '' where it is a number like others.
        job: the only job that uses the field, None if both do.
        defaults: of architectures with another default.
        instead: the field that stands in place of this one for `unused_by`.
        file: True where the value is the path of a file.
        folder: True where it is the path of a folder.
        **constraints: pydantic's own, such as `ge` and `le`.
    """
    traits: JsonDict = {
        'unit': unit,
        'advanced': advanced,
        'architecture': architecture,
        'backend': backend,
        'unused_by': unused_by,
        'label': label,
        'group': group,
        'zero': zero,
        'job': job,
        'defaults': {str(name): value for name, value in (defaults or {}).items()},
        'instead': instead,
        'file': file,
        'folder': folder,
    }
    return Field(default, description=description, json_schema_extra=traits, **constraints)


def field_traits(info: FieldInfo) -> FieldTraits:
    """Return the properties that `setting` declared; the defaults for a field of another origin."""
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return FieldTraits(
        unit=str(extra.get('unit', '')),
        advanced=bool(extra.get('advanced')),
        architecture=cast('Architecture | None', extra.get('architecture')),
        backend=cast('Backend | None', extra.get('backend')),
        unused_by=cast('Architecture | None', extra.get('unused_by')),
        label=str(extra.get('label', '')),
        group=str(extra.get('group', '')),
        zero=str(extra.get('zero', '')),
        job=cast('Job | None', extra.get('job')),
        defaults=cast('Mapping[Architecture, object]', extra.get('defaults') or {}),
        instead=str(extra.get('instead', '')),
        file=bool(extra.get('file')),
        folder=bool(extra.get('folder')),
    )


def field_choices(info: FieldInfo) -> tuple[Any, ...]:
    """Return the values that a field can be chosen from, () if it is not a choice."""
    return get_args(info.annotation) if get_origin(info.annotation) is Literal else ()


def is_switch(info: FieldInfo) -> bool:
    """Return whether a field is on, off or decided from the data."""
    return {'on', 'off'} <= set(field_choices(info))


def help_text(info: FieldInfo) -> str:
    """Return a field's description, followed by the architecture or job that alone uses it."""
    traits = field_traits(info)
    notes = [f'{only} only' for only in (traits.architecture, traits.job) if only]
    notes += [f'{name}: {value}' for name, value in traits.defaults.items()]
    notes += [f'{traits.unused_by}: see {traits.instead}'] if traits.instead else []
    return f'{info.description} ({"; ".join(notes)})' if notes else str(info.description)
