"""Train, save, load, reconstruct: two programs, every backend and architecture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
from tests.integration.conftest import DURATION
from tests.integration.programs import FIXTURE, MODEL, PICTURE, PLACE, Way, check_duration
from tests.integration.programs import run_program as run

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FRAME_SIZE, FRAMES, EPOCHS = 64, 64, 2


@pytest.mark.filterwarnings('default:the regression took')
def test_it_takes_its_time_and_no_more(
    way: Way, record_property: Callable[[str, object], None]
) -> None:
    train, reconstruct = (program.seconds for program in way.programs)
    durations = (
        f'{way.backend:<10} {way.architecture:<8} {way.seconds:5.1f} s '
        f'({train:.1f} + {reconstruct:.1f}), processor {way.cpu_seconds:.1f} s'
    )
    record_property(DURATION, durations)
    record_property('seconds', way.seconds)
    check_duration(way.seconds)


def test_it_leaves_a_model_an_object_and_a_picture(way: Way) -> None:
    training = f'{Path(MODEL).stem}-training'
    names = {path.name for path in way.folder.iterdir()}
    assert names == {MODEL, training, f'{training}.png', way.output, PICTURE}
    train, reconstruct = way.programs
    assert train.out == f'model: {MODEL}\npicture: {training}.png\n'
    first, about, *found, last = reconstruct.out.splitlines()
    assert (first, last) == (f'object: {way.output}', f'picture: {PICTURE}')
    assert about.lower().startswith(way.backend)
    assert all(line.startswith(('found: ', 'warning: ')) for line in found)
    image = imread(way.folder / PICTURE)
    assert image.ndim == 3
    assert min(image.shape[:2]) > 500
    assert image[..., :3].std() > 0.1


def test_the_model_says_what_it_is(way: Way) -> None:
    model = load_model(way.folder / MODEL)
    manifest = model.manifest
    assert manifest.backend == way.backend
    assert manifest.model.architecture == way.architecture
    assert manifest.frame_size == FRAME_SIZE
    assert manifest.training.epochs == EPOCHS
    if way.architecture == 'cnn':
        assert manifest.model.gridsize == 2
        assert manifest.training.n_groups == FRAMES
    assert model.probe.shape == (1, FRAME_SIZE, FRAME_SIZE)
    assert model.losses.shape == (EPOCHS, 2)
    assert np.isfinite(model.losses).all()
    assert all(np.isfinite(value).all() for value in model.weights.values())


def test_the_result_is_finite_where_the_probe_was(second_way: Way) -> None:
    model = load_model(second_way.folder / MODEL)
    found = load_result(second_way.folder / second_way.output)
    with np.load(FIXTURE) as file:
        truth = file['objectGuess']
    assert found.backend == second_way.backend
    # Two epochs may teach a network nothing that the scan supports.
    used = 'network' in found.stages
    assert found.model_name == model.manifest.weights_fingerprint
    assert found.losses == tuple(model.losses[:, 0])
    assert found.positions_px.shape == (FRAMES, 2)
    assert found.object_canvas.dtype == np.complex64
    assert found.object_canvas.shape == found.coverage.shape == truth.shape
    assert found.probe.shape == (1, FRAME_SIZE, FRAME_SIZE)
    finite = np.isfinite(found.object_canvas)
    assert finite[found.coverage > 0.01].all()
    assert not finite[found.coverage == 0].any()
    rows, columns = np.rint(found.positions_px).astype(int).T
    assert finite[rows, columns].all()
    assert np.isfinite(found.residual).all()
    assert len(found.residual) == len(found.stages)
    assert used or second_way.architecture == 'unrolled'


def test_a_second_run_gives_the_same_numbers(way: Way, second_way: Way) -> None:
    first, second = load_model(way.folder / MODEL), load_model(second_way.folder / MODEL)
    assert first.manifest.weights_fingerprint == second.manifest.weights_fingerprint
    np.testing.assert_array_equal(first.losses, second.losses)
    product = load_result(way.folder / way.output)
    arrays = load_result(second_way.folder / second_way.output)
    filled = np.where(np.isfinite(arrays.object_canvas), arrays.object_canvas, 1)
    np.testing.assert_array_equal(product.object_canvas, filled)
    assert product.backend == arrays.backend == way.backend


def test_frames_of_another_size_are_refused_by_the_network_that_draws_patches(
    way: Way, tmp_path: Path
) -> None:
    scan = tmp_path / 'scan.npz'
    save_simulated(scan, simulate(SimulationConfig(frame_size=128, rows=4, columns=4)))
    if way.architecture == 'cnn':
        refused_unchanged(way, scan, MODEL, 'frames')
        return
    model, output = str(way.folder / MODEL), 'object.npz'
    files = ('--model', model, '--output', output, '--backend', way.backend)
    done = run(tmp_path, 'reconstruct', str(scan), *files, *PLACE)
    assert done.code == 0, done.err
    assert load_result(tmp_path / output).probe.shape == (1, 128, 128)


def test_a_model_cut_short_is_refused_in_a_sentence(way: Way, tmp_path: Path) -> None:
    model = tmp_path / MODEL
    model.write_bytes((way.folder / MODEL).read_bytes()[:-1000])
    refused_unchanged(way, FIXTURE, str(model), MODEL)


def refused_unchanged(way: Way, scan: Path, model: str, reason: str) -> None:
    """See a reconstruction refused, the old object kept and no picture begun."""
    before = fingerprints(way.folder)
    files = ('--model', model, '--output', way.output, '--picture', 'other.png')
    done = run(way.folder, 'reconstruct', str(scan), *files, '--backend', way.backend, *PLACE)
    assert (done.code, done.out) == (2, '')
    assert done.err.splitlines()[-1].startswith('ptychopinn: ')
    assert reason in done.err.splitlines()[-1]
    assert 'Traceback' not in done.err
    assert fingerprints(way.folder) == before


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file()
    }
