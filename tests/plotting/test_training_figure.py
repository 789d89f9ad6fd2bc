"""The picture of a training shows what the model holds, and needs nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, TrainingExample, packaged_model
from ptychopinn_plugin.plotting.new_figure import new_figure, save_figure
from ptychopinn_plugin.plotting.training_figure import training_picture, training_picture_path

SIDE = 40


def example() -> TrainingExample:
    rng = np.random.default_rng(0)
    phase = np.cumsum(rng.normal(size=(SIDE, SIDE)), axis=1) / 10
    reference = np.exp(1j * phase).astype(np.complex64)
    noise = (rng.normal(size=(2, SIDE, SIDE)) / 5).astype(np.float32)
    before = (reference + noise[0] + 1j * noise[1]).astype(np.complex64)
    dose = np.zeros((SIDE, SIDE), np.float32)
    dose[5:-5, 5:-5] = 30
    return TrainingExample(before, (before + reference) / 2, reference, dose)


def model(shown: TrainingExample | None, losses: list[tuple[float, float]]) -> TrainedModel:
    manifest = Manifest(
        package_version='0',
        backend='pytorch',
        model=ModelConfig(architecture='cnn'),
        training=TrainingConfig(),
        frame_size=16,
    )
    weights = {'gain': np.ones(1, np.float32)}
    return TrainedModel(
        weights, np.ones((1, 16, 16), np.complex64), np.array(losses), manifest, shown
    )


def test_the_picture_lies_beside_the_model() -> None:
    assert training_picture_path(Path('a/m.safetensors')) == Path('a/m-training.png')


@pytest.mark.parametrize(
    ('shown', 'losses'),
    [
        (None, [(1.0, 0.9), (0.8, np.nan)]),
        (None, [(np.nan, np.nan)]),
        (example(), [(1.0, 0.9), (0.8, 0.95), (0.7, 0.8)]),
    ],
    ids=['no crop', 'no losses', 'crop'],
)
def test_a_model_is_drawn_with_what_it_holds(
    tmp_path: Path, shown: TrainingExample | None, losses: list[tuple[float, float]]
) -> None:
    path = tmp_path / 'm-training.png'
    training_picture(model(shown, losses), path, title='a $name of 5$')
    drawn = imread(path)
    rows = 1 if shown is None else 2
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx(3 / rows, rel=0.02)
    assert drawn[..., :3].std() > 0.02


def test_the_gate_has_a_panel_of_its_own(tmp_path: Path) -> None:
    training_picture(packaged_model(), tmp_path / 'gate.png')
    training_picture(model(None, [(1.0, 0.9)]), tmp_path / 'none.png')
    with_gate, without = (imread(tmp_path / name)[..., :3] for name in ('gate.png', 'none.png'))
    middle = slice(int(0.45 * with_gate.shape[1]), int(0.55 * with_gate.shape[1]))
    # Between two panels there is a white stripe from top to bottom.
    white = [np.any(np.all(one[60:, middle] == 1, axis=(0, 2))) for one in (with_gate, without)]
    assert white == [True, False]


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        training_picture(model(None, [(1.0, 0.9)]), tmp_path / 'm.txt')


def test_a_figure_that_is_written_is_emptied(tmp_path: Path) -> None:
    figure = new_figure(2, 2)
    figure.subplots(1, 2)
    with (tmp_path / 'a.png').open('wb') as file:
        save_figure(figure, file, 'png', 50)
    assert (tmp_path / 'a.png').stat().st_size > 100
    assert figure.get_children() == [figure.patch]
