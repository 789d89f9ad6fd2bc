"""The settings of a run as text, for results and the comments of products."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ptychopinn_plugin.config.base import Config
from ptychopinn_plugin.config.detector import DetectorConfig
from ptychopinn_plugin.config.inference import InferenceConfig
from ptychopinn_plugin.config.orientation import OrientationConfig

DEFAULTS = 'all at their defaults'


def settings_lines(config: Config) -> tuple[str, ...]:
    """Return every setting of a config as a line of TOML, `name = value`."""
    values = config.model_dump(mode='json')
    # JSON's numbers, strings, booleans and lists are TOML's; the configs hold nothing else.
    return tuple(f'{name} = {json.dumps(value)}' for name, value in values.items())


def changed_settings(lines: Sequence[str]) -> str:
    """Return those settings of a reconstruction that differ from their defaults, in one line.

    Args:
        lines: of `settings_lines`, of one or several configs.
    """
    configs = (InferenceConfig(), OrientationConfig(), DetectorConfig())
    defaults = {line for config in configs for line in settings_lines(config)}
    return ', '.join(line for line in lines if line not in defaults) or DEFAULTS
