"""Unpacked objects equal the packed ones."""

import dataclasses
import inspect
import json

import numpy as np
import pytest

from ptychopinn_plugin import errors
from ptychopinn_plugin.errors import PtychoPINNError, ScanDataError, WorkerError
from ptychopinn_plugin.io.model_file import TrainingExample
from ptychopinn_plugin.monitor import Progress
from ptychopinn_plugin.scan import Reconstruction, ScanMetadata
from ptychopinn_plugin.worker import codec
from ptychopinn_plugin.worker.error_codec import pack_error, unpack_error
from tests.fake_engine import fake_model
from tests.helpers import make_scan
from tests.io.result_examples import known_quality
from tests.scan.test_estimates import estimates_of
from tests.worker.helpers import same_bits

SCAN = make_scan(frame_size=16, side=3, modes=2, bad_pixels=3)


def through_json(body: object) -> dict:  # type: ignore[type-arg]
    back: dict = json.loads(json.dumps(body))  # type: ignore[type-arg]
    return back


def test_a_scan_is_the_same_after_the_codec() -> None:
    counts = SCAN.counts.copy()
    counts[:, SCAN.mask] = np.nan
    rich = dataclasses.replace(
        SCAN,
        counts=counts,
        metadata=ScanMetadata(
            (1e-8, 2e-8), np.float64(8e3), None, (0.1, -0.2), np.arange(9)[::-1].copy()
        ),
        source='a.npz',
        decisions=('one', 'two'),
    )
    known = dataclasses.replace(SCAN, estimates=estimates_of(SCAN))
    scans = [SCAN, rich, dataclasses.replace(SCAN, object_guess=None), known]
    bodies, arrays = codec.pack_scans(scans)
    back = codec.unpack_scans(through_json({'': bodies})[''], arrays)
    assert len(back) == 4
    for scan, other in zip(scans, back, strict=True):
        assert same_bits(scan, other)


def test_a_model_is_the_same_after_the_codec() -> None:
    model = fake_model(SCAN, [(1.0, 2.0), (0.1 + 0.2, float('nan'))])
    crop = SCAN.probe[0]
    example = TrainingExample(crop, 2 * crop, 3 * crop, np.abs(crop))
    for each in (model, dataclasses.replace(model, example=example)):
        body, arrays = codec.pack_model(each)
        assert same_bits(each, codec.unpack_model(through_json(body), arrays))


def test_reconstructions() -> None:
    rng = np.random.default_rng(0)
    canvas = rng.random((4, 5)).astype(np.complex64)
    canvas[0, 0] = np.nan
    whole = Reconstruction(
        object_canvas=canvas,
        origin_px=(np.int64(-2), 3),  # type: ignore[arg-type]
        probe=SCAN.probe,
        positions_px=SCAN.positions_px + 0.25,
        coverage=rng.random((4, 5)).astype(np.float32),
        residual=rng.random(3),
        stages=('solver', 'network', 'solver'),
        backend='pytorch',
        seconds=0.1 + 0.2,
        pixel_size_m=(np.float64(1e-8), 2e-8),
        model_name='name',
        losses=(1.0, 0.3),
        settings=('auto = true', 'initial = "product"'),
        version='0.0.9',
        estimates=estimates_of(SCAN),
        quality=known_quality((4, 5)),
    )
    body, arrays = codec.pack_reconstruction(whole)
    assert same_bits(whole, codec.unpack_reconstruction(through_json(body), arrays))


def test_progress_is_the_same_after_the_codec() -> None:
    for progress in (
        Progress('train', 3, 8, 0.1 + 0.2, None, 1.5),
        Progress('solver', np.int64(1), 2, np.float32(0.5), float('inf')),  # type: ignore[arg-type]
    ):
        assert codec.unpack_progress(through_json(codec.pack_progress(progress))) == progress


OWN = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PtychoPINNError) and kind is not ScanDataError
]


@pytest.mark.parametrize('kind', OWN)
def test_our_errors_keep_class_and_message(kind: type[PtychoPINNError]) -> None:
    back = unpack_error(through_json(pack_error(kind('what was found, and what to do'))))
    assert type(back) is kind
    assert str(back) == 'what was found, and what to do'


def test_faults_of_a_scan_stay_separate() -> None:
    back = unpack_error(through_json(pack_error(ScanDataError(['one', 'two'], 'a.npz'))))
    assert isinstance(back, ScanDataError)
    assert (back.faults, back.source) == (('one', 'two'), 'a.npz')


def test_other_errors_become_ours_and_keep_their_traceback() -> None:
    try:
        raise KeyError('frame')
    except KeyError as error:
        body = through_json(pack_error(error))
    assert "KeyError: 'frame'" in str(unpack_error(body))
    assert type(unpack_error(body)) is WorkerError
    assert any('test_codec' in line for line in body['traceback'])
    assert type(unpack_error({'class': 'Sequence', 'message': ''})) is WorkerError
