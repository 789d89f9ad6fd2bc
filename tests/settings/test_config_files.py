"""Settings in TOML and YAML: in sections or flat, strict about names, values and duplicates."""

from pathlib import Path

import pytest

from ptychopinn_plugin import (
    ConfigError,
    LegacyNameWarning,
    create_inference_config,
    create_training_config,
)
from tests.helpers import make_scan

SCAN = make_scan(side=2)

TOML = """
epochs = 3
learning-rate = 1e-3
n_groups = 9
[model]
architecture = "cnn"
object_big = false
frame_size = 32
[inference]
subsets = 2
[execution]
logger = "none"
"""
YAML = """
epochs: 3
learning-rate: 1e-3  # text to YAML
n_groups: 9
model: {architecture: cnn, object_big: no, frame_size: 32}
inference:
  subsets: 2
execution:
  logger: none
"""


@pytest.mark.parametrize(('name', 'text'), [('s.toml', TOML), ('s.yaml', YAML), ('S.YML', YAML)])
def test_both_kinds_of_files_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    training = create_training_config(SCAN, config_file=path)
    assert training.training.epochs == 3
    assert training.training.n_groups == 9
    assert training.model.architecture == 'cnn'
    assert training.model.object_big is False
    assert training.execution.learning_rate == 1e-3
    assert training.execution.logger == 'none'
    unrolled = create_inference_config(SCAN, config_file=str(path), architecture='unrolled')
    assert unrolled.inference.subsets == 2
    inference = create_inference_config(SCAN, config_file=str(path), architecture='cnn')
    assert inference.inference.n_groups == 9  # stands outside of the sections, so for both
    assert inference.execution == training.execution


@pytest.mark.parametrize(
    ('name', 'text', 'sentence'),
    [
        ('s.toml', 'epoch = 3', "s.toml: there is no setting 'epoch'; did you mean epochs"),
        ('s.toml', 'xyzzy = 3', "there is no setting 'xyzzy'; leave it out"),
        ('s.toml', '[model]\nepochs = 3', r's.toml \[model\]: epochs is a setting of .training.'),
        ('s.toml', '[model]\nxyz = 3', r"s.toml \[model\]: there is no setting 'xyz'"),
        ('s.toml', '[training]\nbackend = "pytorch"', 'backend is a setting of .execution.; move'),
        ('s.toml', '[inference]\nbackend = "pytorch"', 'backend is a setting of .execution.; move'),
        ('s.toml', '[execution]\nn_groups = 2', 'a setting of .training. and .inference.; move'),
        ('s.toml', '[modle]\nwidth = 8', 'modle is a section; it must be one value'),
        ('s.toml', 'training = 3', 'training must be a section'),
        ('s.toml', 'epochs = [1, 2]', 'epochs is a list; it must be one value'),
        ('s.toml', 'epochs = 0', 's.toml: epochs: input should be greater .*, got 0'),
        ('s.toml', 'epochs = 1\nepochs = 2', 'is no TOML file'),
        ('s.toml', 'epochs = 1\n[training]\nepochs = 2', 'epochs stands twice, in .training. and'),
        ('s.toml', 'n-groups = 1\nn_groups = 2', 'n_groups stands twice'),
        ('s.toml', 'epochs = ', 'is no TOML file: '),
        ('s.toml', '[inference]\nsubsets = -1', 'subsets: input should be greater'),
        ('s.yaml', 'epochs: 1\nepochs: 2', 'epochs stands twice'),
        ('s.yaml', 'training: {epochs: 1, epochs: 2}', 'epochs stands twice'),
        ('s.yaml', 'a: [', 'is no YAML file of settings'),
        ('s.yaml', '- 1\n- 2', r'must hold names and values, it holds \[1, 2\]'),
        ('s.yaml', 'epochs: !!python/object/apply:os.getcwd []', 'is no YAML file of settings'),
        ('s.ini', 'epochs = 1', "ends in '.ini'; a configuration file ends in .toml, .yaml"),
    ],
)
def test_what_a_file_should_not_hold_is_reported(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence) as caught:
        create_training_config(SCAN, config_file=path)
    assert '\n' not in str(caught.value)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    for name in ('s.toml', 's.yaml'):
        (tmp_path / name).write_text('')
        bare = create_training_config(SCAN)
        assert create_training_config(SCAN, config_file=tmp_path / name) == bare


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'there is no configuration file .*none\.toml'):
        create_training_config(SCAN, config_file=tmp_path / 'none.toml')
    (tmp_path / 'b.toml').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ConfigError, match=r'b\.toml cannot be read'):
        create_training_config(SCAN, config_file=tmp_path / 'b.toml')
    with pytest.raises(ConfigError, match='cannot be read'):
        create_training_config(SCAN, config_file=tmp_path)


def test_old_names_in_a_file_are_translated(tmp_path: Path) -> None:
    path = tmp_path / 's.yaml'
    path.write_text('nepochs: 3\nmodel:\n  object.big: false\n')
    with pytest.warns(LegacyNameWarning) as warned:
        run = create_training_config(SCAN, config_file=path)
    assert (run.training.epochs, run.model.object_big) == (3, False)
    assert len(warned) == 2
    path.write_text('nepochs: 3\nepochs: 3\n')
    with pytest.raises(ConfigError, match='are both epochs'), pytest.warns(LegacyNameWarning):
        create_training_config(SCAN, config_file=path)


def test_all_faults_of_a_file_and_of_the_keywords_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / 's.toml'
    path.write_text('xyzzy = 1\nepochs = 0\n[inference]\nsubsets = -1\n[execution]\nwidth = 8\n')
    with pytest.raises(ConfigError) as caught:
        create_training_config(SCAN, config_file=path, threads=-1, colour='red')
    found = '; '.join(caught.value.faults)
    for fault in ("'xyzzy'", 'epochs: ', 'subsets: ', 'width is a', 'threads: ', "'colour'"):
        assert fault in found
    assert len(caught.value.faults) == 6


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    for name, text in (('s.toml', 'epochs = 3'), ('s.yaml', 'epochs: 3')):
        (tmp_path / name).write_text(text, encoding='utf-8-sig')
        run = create_training_config(SCAN, config_file=tmp_path / name)
        assert run.training.epochs == 3
