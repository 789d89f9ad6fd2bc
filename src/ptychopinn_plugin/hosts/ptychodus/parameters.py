"""The configs as Ptychodus settings: one group a config, made from its fields."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from annotated_types import Ge, Le
from ptychodus.api.observer import Observable, Observer
from ptychodus.api.parameters import (
    BooleanParameter,
    IntegerParameter,
    Parameter,
    ParameterGroup,
    RealParameter,
)
from ptychodus.api.settings import SettingsRegistry
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ptychopinn_plugin.backends.registry import installed_backends
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
from ptychopinn_plugin.config.base import field_choices, field_traits, is_switch, switch_value
from ptychopinn_plugin.config.validation_messages import fault_sentence
from ptychopinn_plugin.errors import SettingsValueError

AnyConfig = TypeVar('AnyConfig', bound=Config)

GROUP_PREFIX = 'PtychoPINNPlugin'
# Value of the setting of a number whose default depends on the architecture.
AUTOMATIC = 0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunConfigs:
    """The settings of a run.

    Attributes:
        model: the network.
        training: how it is trained.
        inference: how a scan is reconstructed.
        execution: backend, device, threads.
        orientation: orientation of the scan axes.
        detector: files on the detector.
        checkpoint: where reconstructions keep their state.
    """

    model: ModelConfig
    training: TrainingConfig
    inference: InferenceConfig
    execution: ExecutionConfig
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)


class ConfigSettings(Observable, Observer, Generic[AnyConfig]):
    """One config as a group of Ptychodus settings.

    Attributes:
        config_class: what the group is made from.
        parameters: by field name, which is the key in settings.ini too.

    Args:
        registry: where the group is made.
        config_class: its fields give names, defaults, ranges and choices.
        defaults: in place of the fields' own.
    """

    def __init__(
        self,
        registry: SettingsRegistry,
        config_class: type[AnyConfig],
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config_class = config_class
        self.group_name = GROUP_PREFIX + config_class.__name__.removesuffix('Config')
        group = registry.create_group(self.group_name)
        group.add_observer(self)
        self.parameters: dict[str, Parameter[Any]] = {
            name: _create_parameter(group, name, field, (defaults or {}).get(name, _default(field)))
            for name, field in config_class.model_fields.items()
        }
        self._group = group

    def read(self) -> AnyConfig:
        """Return the config with the values of the settings.

        A field whose default depends on the architecture stays unset where its setting is
        `AUTOMATIC`.

        Raises:
            SettingsValueError: with every value that its field does not take.
        """
        fields = self.config_class.model_fields
        values = {name: self._value(name) for name in self.parameters}
        values = {
            name: value
            for name, value in values.items()
            if value != AUTOMATIC or not field_traits(fields[name]).defaults
        }
        try:
            return self.config_class.model_validate(values)
        except ValidationError as error:
            raise SettingsValueError(
                '; '.join(self._sentence(fault) for fault in error.errors(include_url=False))
            ) from error

    def _value(self, name: str) -> object:
        parameter, field = self.parameters[name], self.config_class.model_fields[name]
        value = parameter.get_value()
        if isinstance(parameter, IntegerParameter | RealParameter):
            written = parameter.get_value_as_string()
            if written != repr(value):
                logger.warning(
                    '%s.%s = %s is outside its range; %s is taken',
                    self.group_name,
                    name,
                    written,
                    value,
                )
        elif isinstance(value, str) and field.annotation is not str:
            return next((c for c in field_choices(field) if str(c) == value), value or None)
        return value

    def _sentence(self, fault: ErrorDetails) -> str:
        name = '.'.join(str(part) for part in fault['loc'])
        if not name:
            return f'settings {self.group_name}: {fault_sentence(fault, "")}'
        return fault_sentence(fault, f'setting {self.group_name}.{name}')

    def _update(self, observable: Observable) -> None:
        if observable is self._group:
            self._spell_out_switches()
            self.notify_observers()

    def _spell_out_switches(self) -> None:
        """Replace True and False of older files by on and off, which a drop-down list has."""
        for name, parameter in self.parameters.items():
            written = parameter.get_value()
            if is_switch(self.config_class.model_fields[name]) and switch_value(written) != written:
                parameter.set_value(switch_value(written))


class PluginSettings:
    """The settings of the plugin, a group for each config.

    Attributes:
        model: the network.
        training: how it is trained.
        inference: how a scan is reconstructed.
        execution: backend, device, threads; starts on an installed backend.
        orientation: orientation of the scan axes.
        detector: files on the detector.
        checkpoint: where reconstructions keep their state.
    """

    def __init__(self, registry: SettingsRegistry) -> None:
        self.model = ConfigSettings(registry, ModelConfig)
        self.training = ConfigSettings(registry, TrainingConfig)
        self.inference = ConfigSettings(registry, InferenceConfig)
        installed = installed_backends()
        defaults = {'backend': installed[0]} if installed else {}
        self.execution = ConfigSettings(registry, ExecutionConfig, defaults)
        self.orientation = ConfigSettings(registry, OrientationConfig)
        self.detector = ConfigSettings(registry, DetectorConfig)
        self.checkpoint = ConfigSettings(registry, CheckpointConfig)

    def __iter__(self) -> Iterator[ConfigSettings[Any]]:
        """Return the groups in the order in which a user meets them."""
        return iter(
            (
                self.inference,
                self.training,
                self.model,
                self.execution,
                self.orientation,
                self.detector,
                self.checkpoint,
            )
        )

    def read(self) -> RunConfigs:
        """Return the current settings.

        Raises:
            SettingsValueError: a value that its field does not take.
        """
        return RunConfigs(
            model=self.model.read(),
            training=self.training.read(),
            inference=self.inference.read(),
            execution=self.execution.read(),
            orientation=self.orientation.read(),
            detector=self.detector.read(),
            checkpoint=self.checkpoint.read(),
        )


def _default(field: FieldInfo) -> object:
    return AUTOMATIC if field_traits(field).defaults else field.default


def _create_parameter(
    group: ParameterGroup,
    name: str,
    field: FieldInfo,
    default: object,
) -> Parameter[Any]:
    if field.annotation is bool:
        boolean: BooleanParameter = group.create_boolean_parameter(name, cast('bool', default))
        return boolean
    # An exclusive bound is left to the config, which refuses what lies on it.
    minimum: Any = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    minimum = min(minimum, AUTOMATIC) if field_traits(field).defaults else minimum
    maximum: Any = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    if field.annotation is int:
        integer: IntegerParameter = group.create_integer_parameter(
            name, cast('int', default), minimum=minimum, maximum=maximum
        )
        return integer
    if field.annotation is float:
        # Ptychodus gives the bound itself for a value on it, which is to be a float too.
        real: RealParameter = group.create_real_parameter(
            name,
            cast('float', default),
            minimum=None if minimum is None else float(minimum),
            maximum=None if maximum is None else float(maximum),
        )
        return real
    text: Parameter[Any] = group.create_string_parameter(
        name, '' if default is None else str(default)
    )
    return text
