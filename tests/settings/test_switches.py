"""A setting that may be `auto` still takes what it took when it was on or off."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.settings import create_inference_config, create_training_config
from tests.helpers import make_scan

SPELLINGS = [
    (True, 'on'),
    (False, 'off'),
    ('True', 'on'),
    ('false', 'off'),
    ('yes', 'on'),
    ('0', 'off'),
    ('On', 'on'),
    ('off', 'off'),
    ('auto', 'auto'),
]


@pytest.mark.parametrize(('given', 'meant'), SPELLINGS)
def test_old_spellings_are_understood(given: object, meant: str) -> None:
    assert InferenceConfig.model_validate({'update_probe': given}).update_probe == meant


@pytest.mark.parametrize('given', ['maybe', 2, None, ''])
def test_others_are_refused(given: object) -> None:
    with pytest.raises(ValidationError, match="'auto', 'on' or 'off'"):
        InferenceConfig.model_validate({'update_probe': given})


@pytest.mark.parametrize(
    ('name', 'line', 'meant'),
    [
        ('a.toml', 'update_probe = true', 'on'),
        ('a.toml', 'update_probe = "auto"', 'auto'),
        ('a.yaml', 'update_probe: off', 'off'),
        ('a.yaml', 'update_probe: "on"', 'on'),
    ],
)
def test_files_may_say_it_either_way(tmp_path: Path, name: str, line: str, meant: str) -> None:
    path = tmp_path / name
    path.write_text(line)
    run = create_inference_config(make_scan(), config_file=path)
    assert run.inference.update_probe == meant


def test_a_file_for_both_commands_may_say_auto(tmp_path: Path) -> None:
    path = tmp_path / 'both.toml'
    path.write_text('update_probe = "auto"')
    assert create_training_config(make_scan(), config_file=path).training.update_probe is False
    path.write_text('update_probe = "on"')
    assert create_training_config(make_scan(), config_file=path).training.update_probe is True
