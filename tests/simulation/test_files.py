"""Files of simulated scans."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

CONFIG = SimulationConfig(rows=3, columns=4, probe_modes=2, bad_pixels=3, seed=8)


def test_file_holds_the_canonical_contract(tmp_path: Path) -> None:
    made = simulate(CONFIG)
    save_simulated(tmp_path / 'scan.npz', made)
    with np.load(tmp_path / 'scan.npz', allow_pickle=False) as file:
        members = {name: file[name] for name in file.files}
    assert members['diffraction'].dtype == np.float32
    np.testing.assert_allclose(members['diffraction'] ** 2, made.scan.counts, rtol=1e-6)
    for axis, name in enumerate(('ycoords', 'xcoords')):
        np.testing.assert_array_equal(members[name], made.scan.positions_px[:, axis])
        np.testing.assert_array_equal(members[f'{name}_start'], members[name])
        assert members[name].dtype == np.float64
    np.testing.assert_array_equal(members['objectGuess'], made.ground_truth)
    np.testing.assert_array_equal(members['probeGuess'], made.scan.probe)
    np.testing.assert_array_equal(members['bad_pixels'], made.scan.mask)
    assert members['measurement_domain'].item() == 'amplitude'
    assert members['nphotons'].item() == 1e6
    assert members['seed'].item() == 8
    assert SimulationConfig.model_validate(json.loads(members['simulation'].item())) == CONFIG


def test_one_mode_is_written_without_its_axis_and_a_good_detector_without_mask(
    tmp_path: Path,
) -> None:
    save_simulated(tmp_path / 'scan.npz', simulate(SimulationConfig(rows=2, columns=2)))
    with np.load(tmp_path / 'scan.npz', allow_pickle=False) as file:
        assert file['probeGuess'].shape == (64, 64)
        assert 'bad_pixels' not in file.files


def test_the_same_config_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ('one.npz', 'two.npz'):
        save_simulated(tmp_path / name, simulate(CONFIG))
    assert (tmp_path / 'one.npz').read_bytes() == (tmp_path / 'two.npz').read_bytes()


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path) -> None:
    made = simulate(CONFIG)
    with pytest.raises(OutputError, match='missing'):
        save_simulated(tmp_path / 'missing' / 'scan.npz', made)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('modes', [1, 3])
def test_reading_gives_the_scan_back(tmp_path: Path, modes: int) -> None:
    made = simulate(SimulationConfig(rows=3, columns=4, probe_modes=modes, bad_pixels=2))
    save_simulated(tmp_path / 'scan.npz', made)
    read = load_npz(tmp_path / 'scan.npz')
    good = ~made.scan.mask
    np.testing.assert_allclose(read.counts[:, good], made.scan.counts[:, good], rtol=1e-6)
    np.testing.assert_array_equal(read.positions_px, made.scan.positions_px)
    np.testing.assert_array_equal(read.probe, made.scan.probe)
    np.testing.assert_array_equal(read.mask, made.scan.mask)
    assert read.object_guess is not None
    np.testing.assert_array_equal(read.object_guess, made.ground_truth)
    for name in ('pixel_size_m', 'photon_energy_ev', 'detector_distance_m'):
        assert getattr(read.metadata, name) == getattr(made.scan.metadata, name)
    assert read.metadata.scan_index is not None
    np.testing.assert_array_equal(read.metadata.scan_index, np.arange(12))
