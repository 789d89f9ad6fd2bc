"""Settings and ways to read a scan in sentences of the package, as flags of the command line.

Sentences name a way to read a scan as an option of `load_scan`, load_scan(dc='corner') or
load_scan(mask=...), and a setting with its value as a settings file has it, update_probe = off.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ptychopinn_plugin.config.execution import ExecutionConfig
from ptychopinn_plugin.config.inference import InferenceConfig
from ptychopinn_plugin.config.model import ModelConfig
from ptychopinn_plugin.config.training import TrainingConfig

_WAY_TO_READ = re.compile(r"load_scan\((\w+)=(?:'(\w+)'|\.\.\.|True)\)")
_NAMES = {
    name
    for config in (InferenceConfig, TrainingConfig, ModelConfig, ExecutionConfig)
    for name in config.model_fields
}
# Not in quotation marks, as a settings file has it, nor with a value in them.
_SETTING = re.compile(rf'(?<![\w."-])({"|".join(sorted(_NAMES))}) = (\w+(?:\.\d+)?)\b')


def flag_name(name: str) -> str:
    """Return the flag of a field."""
    return f'--{name.replace("_", "-")}'


def replace_ways_to_read(sentence: str, replacement: Callable[[str, str], str]) -> str:
    """Replace the options of `load_scan` in a sentence.

    Args:
        sentence: of the package.
        replacement: of the name of an option and the flag with its value.
    """

    def replaced(found: re.Match[str]) -> str:
        return replacement(found[1], ' '.join(filter(None, (flag_name(found[1]), found[2]))))

    return _WAY_TO_READ.sub(replaced, sentence)


def with_flags(sentence: str) -> str:
    """Return a sentence with flags of the command line for options of `load_scan` and settings."""

    def setting(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if value in ('true', 'false'):
            return flag_name(name if value == 'true' else f'no_{name}')
        return f'{flag_name(name)} {value}'

    return _SETTING.sub(setting, replace_ways_to_read(sentence, lambda _, flag: flag))
