"""`--config FILE`, and flags of the research code."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin import load_model, load_result
from ptychopinn_plugin.cli.legacy_flags import translate_flags
from ptychopinn_plugin.cli.options import command_class
from ptychopinn_plugin.cli.parser import parse
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.legacy_names import REPLACED_FLAGS
from tests.cli.conftest import Run

TRAIN = ('train', 'scan.npz', '--model', 'm.safetensors')

pytestmark = pytest.mark.usefixtures('fake_engine')


def manifest(path: str = 'm.safetensors') -> Any:
    return load_model(path).manifest


def test_a_file_settles_a_training_and_typed_flags_beat_it(run: Run, folder: Path) -> None:
    (folder / 's.toml').write_text('epochs = 3\nseed = 4\n[model]\nwidth = 8\n')
    shown = run(*TRAIN, '--config', 's.toml', '--epochs', '2')
    assert shown.code == 0, shown.err
    found = manifest()
    assert (found.training.epochs, found.training.seed, found.model.width) == (2, 4, 8)
    assert 'training.epochs: 8 -> 3 (s.toml)\n' in shown.err
    assert 'training.epochs: 3 -> 2 (explicit)\n' in shown.err
    assert found.model.frame_size == found.frame_size


def test_a_file_settles_a_reconstruction_and_typed_flags_beat_it(run: Run, folder: Path) -> None:
    (folder / 's.yaml').write_text('inference:\n  refine_iterations: 3\n')
    words = ('reconstruct', 'scan.npz', '--output', 'o.npz', '--config', 's.yaml')
    assert run(*words).code == 0
    assert len(load_result(folder / 'o.npz').residual) == 3
    assert run(*words, '--refine-iterations', '2').code == 0
    assert len(load_result(folder / 'o.npz').residual) == 2


def test_a_file_gives_the_orientation(run: Run, folder: Path) -> None:
    (folder / 's.toml').write_text('[orientation]\nflip_y = true\n')
    words = ('reconstruct', 'scan.npz', '--output', 'o.npz', '--refine-iterations', '1')
    assert 'were turned as asked for: flip y' in run(*words, '--config', 's.toml').err
    both = run(*words, '--config', 's.toml', '--transpose')
    assert 'were turned as asked for: transpose, flip y' in both.err
    assert 'were turned' not in run(*words).err


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('epoch = 3', "s.toml: there is no setting 'epoch'; did you mean epochs"),
        ('backend = "jax"', "s.toml: backend: input should be 'tensorflow' or 'pytorch', got"),
        ('accelerator = "cpu"\nstrategy = "fsdp"', "strategy 'fsdp' spreads"),
        ('backend = "tensorflow"\ndevices = 2', 'TensorFlow backend selected with "devices = 2"'),
    ],
)
@pytest.mark.parametrize(
    'words', [TRAIN, ('reconstruct', 'scan.npz', '--output', 'o.npz')], ids=['train', 'reconstruct']
)
def test_a_bad_file_is_reported_in_a_sentence_and_nothing_is_written(
    run: Run, folder: Path, words: tuple[str, ...], text: str, sentence: str
) -> None:
    (folder / 's.toml').write_text(text)
    shown = run(*words, '--config', 's.toml')
    assert shown.code == 2
    assert sentence in shown.err.splitlines()[-1]
    assert 'Traceback' not in shown.err
    assert sorted(path.name for path in folder.iterdir()) == ['s.toml', 'scan.npz']


def test_old_names_in_a_file_are_reported(run: Run, folder: Path) -> None:
    (folder / 's.toml').write_text('nepochs = 2\narchitecture = "cnn"\n')
    shown = run(*TRAIN, '--config', 's.toml', '--quiet')
    assert shown.err == 'warning: "nepochs = 2" is written the old way; it is now "epochs = 2"\n'
    assert manifest().training.epochs == 2


def test_a_probe_of_its_own_needs_none_in_the_scan(run: Run, folder: Path) -> None:
    with np.load(folder / 'scan.npz') as stored:
        members = dict(stored)
    np.save(folder / 'probe.npy', members.pop('probeGuess'))
    np.savez(folder / 'scan.npz', **members)
    assert run(*TRAIN, '--probe', 'probe.npy', '--epochs', '1').code == 0


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('--max_epochs 3', '--epochs 3'),
        ('--max_epochs=3', '--epochs 3'),
        ('--nepochs 3', '--epochs 3'),
        ('--n_images 64', '--n-groups 64'),
        ('--device cpu', '--accelerator cpu'),
        ('--device gpu', '--accelerator cuda'),
        ('--accelerator gpu', '--accelerator cuda'),
        ('--disable_mlflow', '--logger none'),
        ('--disable-mlflow', '--logger none'),
        ('--batch_size 8', '--batch-size 8'),
        ('--lr 1e-3', '--learning-rate 1e-3'),
        ('--accumulate-grad-batches 2', '--accum-steps 2'),
        ('--torch-num-workers 2', '--num-workers 2'),
        ('--N 64', '--frame-size 64'),
        ('--object_big False', '--no-object-big'),
        ('--object_big True', '--object-big'),
        ('--probe_trainable', '--probe-trainable'),
        ('--probe_trainable false', '--no-probe-trainable'),
        ('--probe-trainable False', '--no-probe-trainable'),
        ('--object-big true', '--object-big'),
        ('--disable-checkpointing', '--no-enable-checkpointing'),
        ('--checkpoint-monitor train_loss', '--checkpoint-monitor-metric train_loss'),
        ('--scheduler Adaptive', '--scheduler ReduceLROnPlateau'),
        ('--flip_x', '--flip-x'),
    ],
)
def test_old_flags_are_translated(old: str, new: str) -> None:
    words, remarks = translate_flags([*TRAIN, '--architecture', 'cnn', *old.split(), '--quiet'])
    assert words == [*TRAIN, '--architecture', 'cnn', *new.split(), '--quiet']
    assert len(remarks) == 1
    assert re.fullmatch(
        rf'{re.split("[ =]", old)[0]}.* is an old name; it is now {new}', remarks[0]
    )
    parse(words)


def test_old_names_of_the_scan_are_translated() -> None:
    words, _ = translate_flags(['train', '--train_data_file', 'a.npz', '--model', 'm.safetensors'])
    assert words[:4] == ['train', 'a.npz', '--model', 'm.safetensors']
    words, _ = translate_flags(['reconstruct', '--output', 'o.npz', '--test_data_file=a.npz'])
    assert words == ['reconstruct', '--output', 'o.npz', 'a.npz']


@pytest.mark.parametrize(
    'words',
    [
        '',
        '--help',
        'backends',
        'ptychodus --batch_size',
        'train scan.npz --model m.safetensors --epochs 3 --no-object-big --quiet',
        'reconstruct scan.npz --max_epochs 3',
        'check scan.npz --device cpu',
        'simulate out.npz --disable_mlflow',
    ],
)
def test_other_words_are_left_as_they_are(words: str) -> None:
    assert translate_flags(words.split()) == (words.split(), [])


def test_a_flag_under_both_names_is_refused(run: Run) -> None:
    with pytest.raises(UsageError, match='--max_epochs is --epochs, which is typed too'):
        translate_flags([*TRAIN, '--epochs', '3', '--max_epochs', '4'])
    assert run(*TRAIN, '--epochs=3', '--max_epochs', '4').code == 2


def test_old_flags_train_with_a_warning(run: Run) -> None:
    shown = run(*TRAIN, '--max_epochs', '2', '--disable_mlflow', '--device', 'cpu', '--quiet')
    assert shown.code == 0
    assert shown.err.splitlines() == [
        'ptychopinn: warning: --max_epochs is an old name; it is now --epochs 2',
        'ptychopinn: warning: --disable_mlflow is an old name; it is now --logger none',
        'ptychopinn: warning: --device is an old name; it is now --accelerator cpu',
        'ptychopinn: warning: these are flags of PtychoPINN, so its network is trained: '
        '--architecture cnn; type --architecture unrolled for the other one',
    ]
    assert manifest().training.epochs == 2
    assert manifest().model.architecture == 'cnn'


@pytest.mark.parametrize(
    ('flags', 'architecture'),
    [
        ('--gridsize 1 --batch_size 4 --n_images 64', 'cnn'),
        ('--batch_size 4', 'cnn'),
        ('--torch-num-workers 0', 'cnn'),
        ('--train_data_file scan.npz', 'cnn'),
        ('--max_epochs 2 --architecture unrolled', 'unrolled'),
        ('--max_epochs=2 --architecture=unrolled', 'unrolled'),
        ('--device cpu --lr 1e-3', 'unrolled'),
        ('--steps_per_epoch 2', 'unrolled'),
        ('--epochs 2', 'unrolled'),
        ('--architecture cnn --model-type supervised --epochs 2', 'cnn'),
    ],
)
def test_flags_of_ptychopinn_train_its_network(run: Run, flags: str, architecture: str) -> None:
    words = ['train', '--model', 'm.safetensors', *flags.split()]
    shown = run(*words, *([] if '--train_data_file' in words else ['scan.npz']))
    assert shown.code == 0, shown.err
    assert manifest().model.architecture == architecture


@pytest.mark.parametrize('flags', ['--model-type supervised', '--gridsize 2', '--n-groups 64'])
def test_settings_of_the_other_network_are_refused(run: Run, folder: Path, flags: str) -> None:
    shown = run(*TRAIN, *flags.split())
    assert shown.code == 2
    assert "an effect with the architecture 'cnn' only" in shown.err
    assert not (folder / 'm.safetensors').exists()


@pytest.mark.parametrize(
    ('words', 'replacement'),
    [
        ('train scan.npz --model m.safetensors --output_dir out', '--model FILE.safetensors'),
        ('train --train_data_file_path scan.npz --output_prefix=out', '--model FILE.safetensors'),
        ('train scan.npz --model m.safetensors --test_data_file b.npz', 'ptychopinn reconstruct'),
        ('train scan.npz --model m.safetensors --activate swish', '--amp-activation'),
        ('train scan.npz --model m.safetensors --torch-loss-mode mae', '--mae-weight 1'),
        ('reconstruct scan.npz --output_dir out', '--output FILE.h5'),
        ('reconstruct scan.npz --output o.npz --model_path out', '--model FILE.safetensors'),
    ],
)
def test_replaced_flags_are_refused_with_their_replacement(
    run: Run, words: str, replacement: str
) -> None:
    shown = run(*words.split())
    assert shown.code == 2
    assert 'of PtychoPINN is not taken here: ' in shown.err
    assert replacement in shown.err


def test_replacements_are_flags() -> None:
    for command, rows in REPLACED_FLAGS.items():
        known = {f'--{name.replace("_", "-")}' for name in command_class(command).model_fields}
        for old, advice in rows.items():
            assert set(re.findall(r'--[a-z-]+', advice)) <= known
            assert f'--{old.replace("_", "-")}' not in known


def test_unknown_flags_stay_errors(run: Run) -> None:
    shown = run(*TRAIN, '--colour', 'red')
    assert shown.code == 2
    assert 'unrecognized arguments: --colour' in shown.err


@pytest.mark.parametrize(
    ('name', 'value'), [('probe_trainable', True), ('object_big', True), ('probe_mask', True)]
)
def test_a_typed_flag_switches_off_what_a_file_switched_on(
    run: Run, folder: Path, name: str, value: bool
) -> None:
    (folder / 's.toml').write_text(f'architecture = "cnn"\n{name} = {str(value).lower()}\n')
    flag = f'--no-{name.replace("_", "-")}'
    for words in ((flag,), (f'--{name}', 'False')):
        shown = run(*TRAIN, '--config', 's.toml', *words)
        assert shown.code == 0, shown.err
        assert getattr(manifest().model, name) is False


@pytest.mark.parametrize('command', ['train', 'reconstruct', 'check', 'simulate', 'demo'])
def test_every_switch_has_both_forms(run: Run, command: str) -> None:
    shown = run(command, '--help').out
    for name, field in command_class(command).model_fields.items():
        flag = (field.alias or name).replace('_', '-')
        if field.annotation is bool:
            assert f'--{flag}, --no-{flag}' in shown


@pytest.mark.parametrize('name', ['ä.npz', 'a"b.npz', 'a\\b.npz', "c'd.npz", '1', 'null', ' .npz'])
def test_a_scan_is_trained_on_whatever_its_name(run: Run, folder: Path, name: str) -> None:
    (folder / 'scan.npz').rename(folder / name)
    shown = run('train', name, '--model', 'm.safetensors', '--epochs', '1')
    assert shown.code == 0, shown.err


def test_a_missing_backend_is_refused_before_the_scan_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.cli.scan_loading.load_scan', None)
    for words in (TRAIN, ('reconstruct', 'scan.npz', '--output', 'o.npz')):
        shown = run(*words, '--backend', 'tensorflow')
        assert shown.code == 1
        assert 'TensorFlow backend selected, but' in shown.err
        assert "pip install 'ptychopinn-plugin[tensorflow]'" in shown.err
