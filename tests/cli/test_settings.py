"""`--config FILE`, and flags of the research code."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin import load_model, load_result
from ptychopinn_plugin.cli.legacy_flags import translate_flags
from ptychopinn_plugin.cli.parser import parse
from ptychopinn_plugin.cli.usage_error import UsageError
from tests.cli.conftest import Run

TRAIN = ('train', 'scan.npz', '--model', 'm.safetensors')

pytestmark = pytest.mark.usefixtures('fake_engine')


def manifest(path: str = 'm.safetensors') -> Any:
    return load_model(path).manifest


def test_a_file_settles_a_training_and_typed_flags_beat_it(run: Run, folder: Path) -> None:
    (folder / 's.toml').write_text('epochs = 3\nbatch_size = 4\n[model]\nwidth = 8\n')
    shown = run(*TRAIN, '--config', 's.toml', '--epochs', '2')
    assert shown.code == 0, shown.err
    found = manifest()
    assert (found.training.epochs, found.training.batch_size, found.model.width) == (2, 4, 8)
    assert 'training.epochs: 20 -> 3 (s.toml)\n' in shown.err
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
        ('backend = "tensorflow"\ndevices = 2', 'TensorFlow backend selected with devices = 2'),
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
    (folder / 's.toml').write_text('nepochs = 2\n')
    shown = run(*TRAIN, '--config', 's.toml', '--quiet')
    assert shown.err == 'warning: nepochs = 2 is written the old way; it is now epochs = 2\n'
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
        ('--probe_trainable false', ''),
        ('--flip_x', '--flip-x'),
    ],
)
def test_old_flags_are_translated(old: str, new: str) -> None:
    words, remarks = translate_flags([*TRAIN, *old.split(), '--quiet'])
    assert words == [*TRAIN, *new.split(), '--quiet']
    assert remarks == [
        f'{re.split("[ =]", old)[0]} is an old name; it is now {new or "the default"}'
    ]
    parse(words)


def test_old_names_of_the_scan_are_translated() -> None:
    words, _ = translate_flags(['train', '--train_data_file', 'a.npz', '--model', 'm.safetensors'])
    assert words == ['train', 'a.npz', '--model', 'm.safetensors']
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
        'train scan.npz --output_dir out',
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
    ]
    assert manifest().training.epochs == 2


def test_unknown_flags_stay_errors(run: Run) -> None:
    shown = run(*TRAIN, '--output_dir', 'out')
    assert shown.code == 2
    assert 'unrecognized arguments: --output_dir' in shown.err
