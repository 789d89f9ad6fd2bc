"""The orientation of the scan axes is a setting as any other, from every source."""

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin import (
    ConfigError,
    OrientationConfig,
    create_inference_config,
    create_training_config,
    load_scan,
)
from ptychopinn_plugin.cli.options import ScanFlags
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
from tests.helpers import make_scan

SCAN = make_scan(side=2)


@pytest.mark.parametrize('text', ['[orientation]\nflip_y = true\n', 'flip_y = true\n'])
def test_a_file_gives_it_in_its_section_or_outside(tmp_path: Path, text: str) -> None:
    path = tmp_path / 's.toml'
    path.write_text(text)
    expected = OrientationConfig(flip_y=True)
    assert create_training_config(SCAN, config_file=path).orientation == expected
    assert create_inference_config(SCAN, config_file=path).orientation == expected
    run = create_inference_config(SCAN, config_file=path, flip_y=False, transpose=True)
    assert run.orientation == OrientationConfig(transpose=True)


def test_an_unknown_name_in_its_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 's.toml'
    path.write_text('[orientation]\nflip_z = true\n')
    with pytest.raises(ConfigError, match=r"\[orientation\]: there is no setting 'flip_z'"):
        create_training_config(SCAN, config_file=path)


def test_flags_and_keywords_are_its_fields(tmp_path: Path) -> None:
    assert set(OrientationConfig.model_fields) <= set(ScanFlags.model_fields)
    path = tmp_path / 'scan.npz'
    save_simulated(path, simulate(SimulationConfig(rows=3, columns=4)))
    for name in OrientationConfig.model_fields:
        scan = load_scan(path, **OrientationConfig(**{name: True}).model_dump())
        assert name.replace('_', ' ') in scan.decisions[-1]
        assert not np.array_equal(scan.positions_px, load_scan(path).positions_px)
    with pytest.raises(ValueError, match='flip_z'):
        load_scan(path, flip_z=True)


def test_operations_are_in_the_order_in_which_they_act() -> None:
    assert OrientationConfig(flip_y=True, transpose=True).operations == ('transpose', 'flip_y')
    assert OrientationConfig().operations == ()
