"""One call trains, saves, loads, reconstructs and stitches."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn_plugin as pp
from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from tests.helpers import make_known_scan, make_scan

OWN: dict[str, dict[str, Any]] = {
    'unrolled': {
        'width': 4,
        'levels': 1,
        'blocks': 1,
        'refine_iterations': 4,
        'steps_per_epoch': 2,
        'crop_frames': 16,
        'validation_episodes': 2,
        'reference_passes': 3,
    },
    'cnn': {'architecture': 'cnn', 'batch_size': 4, 'n_groups': 12, 'cnn_refine_iterations': 1},
}
SMALL: dict[str, Any] = {
    'epochs': 2,
    'accelerator': 'cpu',
}


@pytest.mark.parametrize('architecture', OWN)
def test_the_whole_way(backend: Backend, tmp_path: Path, architecture: str) -> None:
    scan = make_scan(side=6, frame_size=64)
    amplitude, phase, results = pp.run_pipeline(
        scan, output_dir=tmp_path / 'out', backend=backend, **SMALL, **OWN[architecture]
    )
    assert amplitude.dtype == phase.dtype == np.float32
    assert scan.object_guess is not None
    assert amplitude.shape == phase.shape == scan.object_guess.shape
    stored = pp.load_result(results['paths']['object'])
    np.testing.assert_array_equal(amplitude, np.abs(stored.object_canvas))
    np.testing.assert_array_equal(phase, np.angle(stored.object_canvas))
    covered = np.isfinite(amplitude)
    assert 0.1 < covered.mean() < 1
    np.testing.assert_array_equal(covered, np.isfinite(phase))
    assert np.abs(phase[covered]).max() <= np.float32(np.pi)

    model = pp.load_model(results['paths']['model'])
    assert results['backend'] == model.manifest.backend == backend
    assert results['architecture'] == architecture
    assert results['model_name'] == model.manifest.weights_fingerprint
    assert results['history']['train_loss'] == model.losses[:, 0].tolist()
    assert results['history']['val_loss'] == model.losses[:, 1].tolist()
    assert len(model.losses) == 2
    # Below 0 where an object fits held-out frames better than the reference does.
    assert all(np.isfinite(losses).all() for losses in results['history'].values())
    assert set(results['seconds']) == {'train', 'reconstruct'}
    assert all(seconds > 0 for seconds in results['seconds'].values())
    assert results['residual'] == stored.residual[-1]
    for path in results['paths'].values():
        assert path.exists()
        assert path.is_relative_to(tmp_path / 'out')
    json.dumps(results, default=str)


@pytest.mark.pytorch
def test_another_scan_is_reconstructed_from_its_file(tmp_path: Path) -> None:
    test = make_known_scan(side=4, seed=3, photons=1e6).scan
    save_npz(tmp_path / 't.npz', test)
    (tmp_path / 's.toml').write_text('backend = "pytorch"\nlogger = "none"\nepochs = 9\n')
    amplitude, _, results = pp.run_pipeline(
        make_scan(side=6),
        tmp_path / 't.npz',
        output_dir=tmp_path,
        config_file=tmp_path / 's.toml',
        execution=pp.ExecutionConfig(threads=1),
        **{**SMALL, **OWN['unrolled'], 'epochs': 1},
    )
    assert results['backend'] == 'pytorch'
    assert len(results['history']['val_loss']) == 1
    assert test.object_guess is not None
    assert amplitude.shape == test.object_guess.shape
    execution = pp.load_model(results['paths']['model']).manifest.execution
    assert execution is not None
    assert (execution.threads, execution.logger) == (1, 'none')


@pytest.mark.pytorch
def test_what_was_saved_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_and_damage(path: Path, model: pp.TrainedModel) -> None:
        pp.save_model(path, model)
        path.write_bytes(path.read_bytes()[:-1])

    monkeypatch.setattr('ptychopinn_plugin.pipeline.save_trained_model', save_and_damage)
    settings = {**SMALL, **OWN['unrolled'], 'epochs': 1}
    with pytest.raises(pp.ModelFileError):
        pp.run_pipeline(make_scan(side=6), output_dir=tmp_path, backend='pytorch', **settings)


def test_what_is_wrong_is_reported_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(pp.ConfigError, match="'epoch'; did you mean epochs"):
        pp.run_pipeline(make_scan(), output_dir=tmp_path / 'out', epoch=3)
    with pytest.raises(pp.ConfigError, match='subsets: input should be greater'):
        pp.run_pipeline(make_scan(), output_dir=tmp_path / 'out', subsets=-1)
    with pytest.raises(pp.ScanDataError, match='there is no file'):
        pp.run_pipeline(make_scan(), tmp_path / 'none.npz', output_dir=tmp_path / 'out')
    with pytest.raises(pp.ModelMismatchError, match='train on have 32 pixels a side'):
        pp.run_pipeline(
            make_scan(),
            make_scan(frame_size=16),
            output_dir=tmp_path / 'out',
            architecture='cnn',
        )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'file').touch()
    with pytest.raises(pp.OutputError, match='file is a file; its name is needed'):
        pp.run_pipeline(make_scan(), output_dir=tmp_path / 'file', backend='pytorch')


def test_the_orientation_is_a_setting_of_both_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pp.ScanData] = []

    def train(scan: pp.ScanData, **_settings: object) -> None:
        seen.append(scan)
        raise pp.Cancelled('enough seen')

    monkeypatch.setattr('ptychopinn_plugin.pipeline.train', train)
    scan = make_scan()
    with pytest.raises(pp.Cancelled, match='enough seen'):
        pp.run_pipeline(scan, output_dir=tmp_path, flip_x=True)
    assert 'flip x' in seen[0].decisions[-1]
    assert seen[0].positions_px[0, 1] != scan.positions_px[0, 1]


def test_backend_and_folder_are_looked_at_before_a_scan_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_npz(tmp_path / 's.npz', make_scan())
    monkeypatch.setattr('ptychopinn_plugin.pipeline.load_scan', None)
    with pytest.raises(pp.UnknownBackendError, match='jax'):
        pp.run_pipeline(tmp_path / 's.npz', output_dir=tmp_path, backend='jax')  # type: ignore[arg-type]
    with pytest.raises(pp.OutputError, match='is a file'):
        pp.run_pipeline(tmp_path / 's.npz', output_dir=tmp_path / 's.npz', backend='pytorch')
    monkeypatch.setattr('ptychopinn_plugin.backends.registry._is_installed', lambda _name: False)
    with pytest.raises(pp.BackendUnavailableError, match='pip install'):
        pp.run_pipeline(tmp_path / 's.npz', output_dir=tmp_path, backend='pytorch')


def test_names_of_ptychopinn_train_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pp.ModelConfig] = []

    def train(_scan: pp.ScanData, *, model: pp.ModelConfig, **_settings: object) -> None:
        seen.append(model)
        raise pp.Cancelled('enough seen')

    monkeypatch.setattr('ptychopinn_plugin.pipeline.train', train)
    with pytest.warns(pp.LegacyNameWarning), pytest.raises(pp.Cancelled):
        pp.run_pipeline(make_scan(), output_dir=tmp_path, nepochs=3, n_images=9)
    assert seen[0].architecture == 'cnn'
