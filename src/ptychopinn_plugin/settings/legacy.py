"""Settings by the names of the research code: read with a warning, written as one flat dictionary.

One way each, and nothing is kept anywhere: a mapping goes in, a new one comes out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.config.legacy_names import (
    FILE_NAMES,
    GENERAL_NAMES,
    GROUPING_NAMES,
    MODEL_NAMES,
    OLD_NAMES,
    OLD_VALUES,
    SWITCHED_OFF,
    TRAINING_NAMES,
)
from ptychopinn_plugin.errors import ConfigError, LegacyNameWarning
from ptychopinn_plugin.settings.runs import InferenceRun, TrainingRun

PROVIDED = 'positions.provided'
ALL_IF_NONE = ('n_groups', 'n_subsample')
SETTLED_BY_DATA = ('N', 'nphotons')


def translate_legacy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in the names and values used here, for the factories' keywords.

    Each old name or value gives a `LegacyNameWarning`. Names that are known neither here
    nor there are left as they are, so that the factories refuse them.

    Args:
        values: settings by name; the names of both may be mixed.

    Raises:
        ConfigError: a setting stands there under two names, or positions are not provided.
    """
    translated: dict[str, Any] = {}
    origin: dict[str, str] = {}
    faults = []
    for old, old_value in values.items():
        name, value = _translate(old, old_value)
        if (name, value) != (old, old_value):
            today = f'"{name} = {value!r}"' if name else 'nothing, and may be left out'
            warnings.warn(
                f'"{old} = {old_value!r}" is written the old way; it is now {today}',
                LegacyNameWarning,
                stacklevel=2,
            )
        if not name:
            faults += _refusals(old, old_value)
        elif name in translated:
            faults.append(f'{old} and {origin[name]} are both {name}; leave one out')
        else:
            translated[name], origin[name] = value, old
    if faults:
        raise ConfigError(faults)
    return translated


def has_legacy_names(values: Iterable[str]) -> bool:
    """Return whether one of some settings has a name that PtychoPINN alone has."""
    known = {PROVIDED, *OLD_NAMES, *SWITCHED_OFF, *FILE_NAMES} - GENERAL_NAMES
    return any(name in known or name.startswith('torch_') for name in values)


def legacy_parameters(run: TrainingRun | InferenceRun) -> dict[str, object]:
    """Return a run's settings as the flat dictionary of the research code.

    Only settings that both have, plain Python types; paths are strings, '' where there is none.
    A reconstruction by physics alone has the defaults of a network and its training. Where 0
    stands for something here that has no number there, as all frames, the value is None, and
    `N` and `nphotons` are left out where the data have not settled them.

    Args:
        run: what a factory made.
    """
    model = run.model or ModelConfig()
    training = run.training or TrainingConfig()
    grouping: GroupingConfig = run.inference if isinstance(run, InferenceRun) else training
    train_data = run.train_data[0] if isinstance(run, TrainingRun) and run.train_data else None
    settled = {
        **{old: getattr(model, new) for old, new in MODEL_NAMES.items()},
        **{old: getattr(training, new) for old, new in TRAINING_NAMES.items()},
    }
    return {
        **{old: value for old, value in settled.items() if value or old not in SETTLED_BY_DATA},
        **{name: getattr(grouping, name) for name in GROUPING_NAMES},
        **{name: getattr(grouping, name) or None for name in ALL_IF_NONE},
        'neighbor_count': grouping.neighbors_for(model.gridsize),
        PROVIDED: True,
        'train_data_file_path': str(train_data or ''),
        'test_data_file_path': str(run.test_data or ''),
        'output_prefix': str(run.output or ''),
    }


def _translate(old: str, value: object) -> tuple[str, object]:
    """Return name and value used here, the name '' for what has no counterpart."""
    if old == PROVIDED:
        return '', value
    if old in SWITCHED_OFF:
        return SWITCHED_OFF[old] if value else ('', value)
    name = old.removeprefix('torch_')
    if name in FILE_NAMES:
        return (FILE_NAMES[name], value) if value else ('', value)
    name = OLD_NAMES.get(name, name)
    if isinstance(value, str | None):
        value = OLD_VALUES.get((name, value), value)
    return name, value


def _refusals(old: str, value: object) -> list[str]:
    if old == PROVIDED and not value:
        return [f'{PROVIDED} is {value!r}; a scan always comes with its positions here']
    return []
