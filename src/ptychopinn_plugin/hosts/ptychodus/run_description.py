"""What a run used, for its messages and for the comments of its product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.config.model_names import PACKAGED
from ptychopinn_plugin.config.used_settings import changed_settings, settings_lines
from ptychopinn_plugin.hosts.ptychodus.loaded_model import LoadedModel, describe_model
from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.io.model_file import PACKAGED_FILE, TrainedModel, packaged_model
from ptychopinn_plugin.io.ptychodus.write_product import SETTINGS

# Begins a line of a product's comments.
MODEL_FILE = 'model file: '

# What Ptychodus appends to the name of the product that was chosen, for the one that it makes.
_APPENDED = re.compile(r'_ptychopinn-plugin_[a-z]+(-\d+)?$')


def chosen_product(name: str) -> str:
    """Return the name of the product that a user chose, from that of the one made from it."""
    return _APPENDED.sub('', name) or 'Ptychodus'


@dataclass(frozen=True, eq=False)
class UsedModel:
    """The model of a run as it began; another one may be loaded meanwhile.

    Attributes:
        model: None for physics alone.
        file: that it is in, None where it is in none.
    """

    model: TrainedModel | None = None
    file: Path | None = None

    @classmethod
    def of_run(cls, loaded: LoadedModel, configs: RunConfigs) -> UsedModel:
        """Return the loaded model; where none is, that of the package unless it is switched off."""
        if loaded.model is not None:
            return cls(loaded.model, loaded.file)
        if configs.inference.closing_stage:
            return cls(packaged_model(), PACKAGED_FILE)
        return cls()

    def describe(self) -> str:
        """Return name, architecture, epochs and backend in one line, '' for none."""
        return '' if self.model is None else describe_model(self.model, self.file)


def describe_settings(configs: RunConfigs) -> str:
    """Return the settings of a reconstruction that differ from their defaults."""
    parts = (configs.inference, configs.orientation, configs.detector)
    lines = tuple(line for part in parts for line in settings_lines(part))
    return changed_settings(lines)


def used_lines(used: UsedModel, configs: RunConfigs) -> list[str]:
    """Return lines for the comments of a product: the model's file, and the settings."""
    lines = [f'{SETTINGS}{describe_settings(configs)}']
    if used.model is not None:
        name = str(used.file.resolve()) if used.file else 'not saved'
        if used.file == PACKAGED_FILE:
            name = PACKAGED
        lines.insert(0, f'{MODEL_FILE}{name}, {used.describe()}')
    return lines
