"""The model file gives back what was saved, or says why it cannot."""

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ModelFileError, OutputError
from ptychopinn_plugin.io.model_file import (
    Manifest,
    TrainedModel,
    data_fingerprint,
    load_model,
    save_model,
    weights_fingerprint,
)
from ptychopinn_plugin.io.model_file.tensors import checksum
from tests.helpers import make_scan


def small_model(seed: int = 0) -> TrainedModel:
    rng = np.random.default_rng(seed)
    return TrainedModel(
        weights={
            'stage.0.weight': rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
            'stage.0.bias': rng.normal(size=4).astype(np.float32),
            'gain': np.float32(rng.normal(size=())),  # type: ignore[dict-item]
        },
        probe=(rng.normal(size=(2, 8, 8)) + 1j * rng.normal(size=(2, 8, 8))).astype(np.complex64),
        losses=np.array([[3.0, np.nan], [2.0, 2.5]]),
        manifest=Manifest(
            package_version=__version__,
            backend='pytorch',
            model=ModelConfig(width=8),
            training=TrainingConfig(epochs=2, seed=7),
            frame_size=8,
            pixel_size_m=(1e-8, 2e-8),
            photons_per_frame=(1e4, 2e4),
        ),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'model.safetensors'


def rewrite(path: Path, **metadata: str) -> None:
    """Store the arrays of a model file again, with other metadata."""
    from safetensors import safe_open

    with safe_open(path, framework='numpy') as file:
        old = file.metadata()
    save_file(load_file(path), path, {**old, **metadata})


def test_a_saved_model_comes_back_unchanged(path: Path) -> None:
    model = small_model()
    save_model(path, model)
    again = load_model(path)
    assert again.weights.keys() == model.weights.keys()
    for name, array in model.weights.items():
        assert again.weights[name].shape == array.shape
        np.testing.assert_array_equal(again.weights[name], array, strict=False)
    np.testing.assert_array_equal(again.probe, model.probe, strict=True)
    np.testing.assert_array_equal(again.losses, model.losses, strict=True)
    assert again.manifest.model == ModelConfig(width=8)
    assert again.manifest.training.seed == 7
    assert again.manifest.pixel_size_m == (1e-8, 2e-8)
    assert again.manifest.weights_fingerprint == weights_fingerprint(model)
    assert again.manifest.probe_fingerprint
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('name', ['counts', 'positions_px', 'mask', 'true_patches'])
def test_the_fingerprint_of_data_depends_on_all_that_is_learned_from(name: str) -> None:
    scan = make_scan(frame_size=16, side=2)
    size = scan.frame_size
    scan = dataclasses.replace(
        scan, true_patches=np.ones((scan.frame_count, size, size), np.complex64)
    )
    changed = np.array(getattr(scan, name))
    changed[0, 0] = ~changed[0, 0] if name == 'mask' else changed[0, 0] + 1
    values: dict[str, Any] = {name: changed}
    other = dataclasses.replace(scan, **values)
    again = dataclasses.replace(scan)
    assert data_fingerprint([scan]) == data_fingerprint([again]) != data_fingerprint([other])
    assert data_fingerprint([scan, other]) != data_fingerprint([other, scan])


def test_fingerprints_depend_on_weights_and_ignore_their_order() -> None:
    model = small_model()
    reordered = dataclasses.replace(model, weights=dict(reversed(model.weights.items())))
    assert weights_fingerprint(reordered) == weights_fingerprint(model)
    assert weights_fingerprint(small_model(1)) != weights_fingerprint(model)
    renamed = {name.replace('gain', 'pain'): array for name, array in model.weights.items()}
    assert weights_fingerprint(dataclasses.replace(model, weights=renamed)) != weights_fingerprint(
        model
    )


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'weights': {}}, 'no weights'),
        ({'weights': {'a': np.zeros(3)}}, 'float64'),
        ({'weights': {'a': np.array([1, np.nan], np.float32)}}, 'not finite'),
        ({'probe': np.full((1, 8, 8), np.inf, np.complex64)}, 'not finite'),
        ({'probe': np.zeros((1, 4, 4), np.complex64)}, 'manifest says 8'),
        ({'probe': np.zeros((8, 8), np.complex64)}, 'modes, N, N'),
        ({'losses': np.zeros(3)}, 'epochs, 2'),
        ({'losses': np.array([[np.inf, 0.0]])}, 'infinite'),
    ],
)
def test_a_broken_model_is_not_written(path: Path, change: dict[str, object], words: str) -> None:
    model = dataclasses.replace(small_model(), **change)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=words):
        save_model(path, model)
    assert not path.exists()


def test_others_may_read_the_file_as_any_other(path: Path) -> None:
    (path.parent / 'plain').touch()
    save_model(path, small_model())
    assert path.stat().st_mode == (path.parent / 'plain').stat().st_mode
    path.chmod(0o640)
    save_model(path, small_model())
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_old_file_survives_a_failed_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(path, small_model())
    before = path.read_bytes()

    def full_disk(_file: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('ptychopinn_plugin.atomic.output_file.OutputFile.finish', full_disk)
    with pytest.raises(OutputError, match='No space left'):
        save_model(path, small_model(1))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ('name', 'words'),
    [('model.pt', r'\.safetensors'), ('none/model.safetensors', 'no folder')],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        save_model(tmp_path / name, small_model())


def test_files_that_can_run_code_are_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, ('raise SystemExit("ran")',)

    pickled = tmp_path / 'model.ckpt'
    pickled.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelFileError, match=r'pickle.*run code'):
        load_model(pickled)
    zipped = tmp_path / 'model.pt'
    with zipfile.ZipFile(zipped, 'w') as archive:
        archive.writestr('data.pkl', pickle.dumps(Bomb()))
    with pytest.raises(ModelFileError, match=r'zip archive.*\.keras'):
        load_model(zipped)


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    text = tmp_path / 'notes.safetensors'
    text.write_text('these are my notes on the model')
    with pytest.raises(ModelFileError, match=r'not a \.safetensors file'):
        load_model(text)
    empty = tmp_path / 'empty.safetensors'
    empty.touch()
    with pytest.raises(ModelFileError, match=r'not a \.safetensors file'):
        load_model(empty)
    with pytest.raises(ModelFileError, match='no model file'):
        load_model(tmp_path / 'absent.safetensors')
    with pytest.raises(ModelFileError, match='is a folder'):
        load_model(tmp_path)
    foreign = tmp_path / 'foreign.safetensors'
    save_file({'a': np.zeros(3)}, foreign)
    with pytest.raises(ModelFileError, match='without the manifest'):
        load_model(foreign)


@pytest.mark.parametrize('kept', [9, 100, 1000, -1])
def test_a_file_cut_short_is_refused(path: Path, kept: int) -> None:
    save_model(path, small_model())
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with pytest.raises(ModelFileError, match='cut short'):
        load_model(path)


def test_another_format_version_names_the_package_that_wrote_it(path: Path) -> None:
    save_model(path, small_model())
    manifest = load_model(path).manifest.model_dump(mode='json')
    future = {**manifest, 'format_version': 3, 'package_version': '9.8.7', 'new': 1}
    rewrite(path, manifest=json.dumps(future))
    with pytest.raises(
        ModelFileError, match=r"format 3 .* 9\.8\.7; .* 'ptychopinn-plugin==9\.8\.7'"
    ):
        load_model(path)


def test_a_manifest_with_unknown_fields_is_refused(path: Path) -> None:
    save_model(path, small_model())
    manifest = load_model(path).manifest.model_dump(mode='json')
    manifest['model']['attention'] = True
    rewrite(path, manifest=json.dumps(manifest))
    with pytest.raises(ModelFileError, match=r'model\.attention'):
        load_model(path)


def test_a_model_from_before_outputs_could_be_chosen_has_the_published_one(path: Path) -> None:
    save_model(path, small_model())
    manifest = load_model(path).manifest.model_dump(mode='json')
    del manifest['model']['output_form']
    text = json.dumps(manifest)
    rewrite(path, manifest=text, checksum=checksum(load_file(path), text))
    assert load_model(path).manifest.model.output_form == 'amplitude_phase'


def test_weights_that_the_manifest_does_not_speak_of_are_refused(path: Path) -> None:
    save_model(path, small_model())
    manifest = load_model(path).manifest.model_copy(update={'weights_fingerprint': 'f' * 64})
    text = manifest.model_dump_json()
    rewrite(path, manifest=text, checksum=checksum(load_file(path), text))
    with pytest.raises(ModelFileError, match='not those that the manifest speaks of'):
        load_model(path)


def test_a_changed_manifest_is_noticed(path: Path) -> None:
    save_model(path, small_model())
    manifest = load_model(path).manifest.model_dump(mode='json')
    rewrite(path, manifest=json.dumps({**manifest, 'pixel_size_m': [1e-6, 1e-6]}))
    with pytest.raises(ModelFileError, match='checksum'):
        load_model(path)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(place=st.integers(0, 2**31), value=st.integers(1, 255))
def test_a_changed_byte_never_passes_for_the_model(path: Path, place: int, value: int) -> None:
    model = small_model()
    save_model(path, model)
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place] ^= value
    path.write_bytes(data)
    try:
        again = load_model(path)
    except ModelFileError:
        return
    # White space of the header may change; nothing else may.
    assert weights_fingerprint(again) == weights_fingerprint(model)
    np.testing.assert_array_equal(again.probe, model.probe)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.binary(max_size=400), length=st.integers(0, 400))
def test_any_bytes_give_a_plain_error(path: Path, data: bytes, length: int) -> None:
    path.write_bytes(length.to_bytes(8, 'little') + b'{' + data)
    with pytest.raises(ModelFileError):
        load_model(path)


@pytest.mark.parametrize(
    ('name', 'content'), [('wts.h5.zip', b'PK\x03\x04' + bytes(40)), ('last.ckpt', b'\x80\x02c')]
)
def test_an_old_model_is_refused_with_the_way_to_go_on(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match='trained again in one command') as caught:
        load_model(tmp_path / name)
    assert '--architecture cnn' in str(caught.value)
    page = Path(__file__).parents[2] / 'docs' / 'differences-to-ptychopinn.md'
    assert str(caught.value).endswith(f'docs/{page.name}')
    assert page.is_file()


def test_no_sentence_holds_bytes_as_python_writes_them(tmp_path: Path) -> None:
    for content in (b'', b'hello, world, this is text'):
        (tmp_path / 'm.safetensors').write_bytes(content)
        with pytest.raises(ModelFileError, match='its first bytes are') as caught:
            load_model(tmp_path / 'm.safetensors')
        assert "b'" not in str(caught.value)
