"""The fields of a settings page: headings, labels, and which of them mean something."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ptychodus.api.parameters import Parameter
from pydantic.fields import FieldInfo

from ptychopinn_plugin.config import (
    CheckpointConfig,
    Config,
    DetectorConfig,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.base import field_traits, help_text
from ptychopinn_plugin.hosts.ptychodus.number_range import NumberRange
from ptychopinn_plugin.hosts.ptychodus.parameters import AUTOMATIC, PluginSettings

# In the order of use.
HEADINGS: dict[type[Config], str] = {
    InferenceConfig: 'Reconstruction',
    TrainingConfig: 'Training',
    ModelConfig: 'Model',
    ExecutionConfig: 'Execution',
    OrientationConfig: 'Orientation',
    DetectorConfig: 'Detector',
    CheckpointConfig: 'Checkpoints',
}


@dataclass(frozen=True)
class PageState:
    """What decides which fields mean something.

    Attributes:
        architecture: of the network that a training makes.
        model_architecture: of the loaded model, '' where there is none.
        backend: the framework that computes.
    """

    architecture: str
    model_architecture: str
    backend: str


@dataclass(frozen=True, eq=False)
class PageField:
    """A field of a settings page.

    Attributes:
        name: of the field in its config.
        field: as it is declared.
        parameter: holds its value.
        heading: of the group that it is shown in.
    """

    name: str
    field: FieldInfo
    parameter: Parameter[Any]
    heading: str

    @property
    def label(self) -> str:
        """Text before the field."""
        traits = field_traits(self.field)
        label = traits.label or f'{self.name[:1].upper()}{self.name[1:].replace("_", " ")}'
        return f'{label} [{traits.unit}]:' if traits.unit else f'{label}:'

    @property
    def tool_tip(self) -> str:
        """Help on the field, for a number with its range."""
        if self.field.annotation not in (int, float):
            return f'{help_text(self.field)}.'
        return f'{help_text(self.field)}: {self.limits.describe()}.'

    @property
    def advanced(self) -> bool:
        """Whether it is folded away."""
        return field_traits(self.field).advanced

    @property
    def is_file(self) -> bool:
        """Whether the value is the path of a file."""
        return field_traits(self.field).file

    @property
    def is_folder(self) -> bool:
        """Whether the value is the path of a folder."""
        return field_traits(self.field).folder

    @property
    def limits(self) -> NumberRange:
        """The range of a number."""
        limits = NumberRange.of_field(self.field)
        if field_traits(self.field).defaults:
            return dataclasses.replace(limits, least=min(limits.least, AUTOMATIC))
        return limits

    def zero(self, state: PageState) -> str:
        """Return what is shown in place of 0, '' for 0 itself."""
        traits = field_traits(self.field)
        own = {str(name): value for name, value in traits.defaults.items()}
        if own:
            return f'automatic ({own.get(state.architecture, self.field.default)})'
        return traits.zero

    def has_effect(self, state: PageState) -> bool:
        """Return whether the next reconstruction or training uses the field."""
        traits = field_traits(self.field)
        if traits.backend not in (None, state.backend):
            return False
        if self.heading == HEADINGS[InferenceConfig]:
            of_model = traits.architecture in (None, state.model_architecture)
            return of_model and (
                not traits.unused_by or traits.unused_by != state.model_architecture
            )
        return traits.architecture in (None, state.architecture)


def page_fields(settings: PluginSettings) -> Iterator[PageField]:
    """Return the fields of all configs, heading by heading."""
    fields = [
        PageField(
            name,
            field,
            group.parameters[name],
            field_traits(field).group or HEADINGS[group.config_class],
        )
        for group in settings
        for name, field in group.config_class.model_fields.items()
    ]
    order = list(HEADINGS.values())
    return iter(sorted(fields, key=lambda field: order.index(field.heading)))
