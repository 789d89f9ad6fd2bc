"""What is said of resolution and errors."""

import dataclasses

import numpy as np

from ptychopinn_plugin.scan import Quality
from ptychopinn_plugin.scan.quality import half_period, quality_faults
from tests.io.result_examples import known_quality

QUALITY = known_quality((6, 7))


def test_the_sentence_gives_nanometres_where_the_pixel_is_known() -> None:
    assert 'resolved to 1.2 px (half period' in QUALITY.summary(None)
    assert 'resolved to 25 nm (1.2 px)' in QUALITY.summary((1e-8, 2e-8))
    assert 'held-out photons fit to 1.04 of photon noise' in QUALITY.summary(None)
    assert 'errors are larger than stated' not in QUALITY.summary(None)
    worse = dataclasses.replace(QUALITY, held_out=1.6)
    assert 'errors are larger than stated' in worse.summary(None)


def test_half_a_period() -> None:
    assert half_period(0.5) == 1
    assert half_period(0.1) == 5
    assert half_period(0) == np.inf


def test_arrays_come_back_and_wrong_ones_are_named() -> None:
    arrays = QUALITY.arrays()
    back = Quality.from_arrays(arrays)
    assert back.held_out == QUALITY.held_out
    np.testing.assert_array_equal(back.phase_error, QUALITY.phase_error)
    assert quality_faults(arrays, (6, 7)) == []
    older = {name: arrays[name] for name in arrays if name != 'held_out_unexplained'}
    assert quality_faults(older, (6, 7)) == []
    assert np.isnan(Quality.from_arrays(older).held_out_unexplained)
    less = {name: arrays[name] for name in arrays if name != 'half_bit'}
    assert quality_faults(less, (6, 7)) == ["it has no 'half_bit'"]
    wrong = arrays | {'one_bit': np.zeros(3), 'phase_error': np.zeros((2, 2), np.float32)}
    assert quality_faults(wrong, (6, 7)) == [
        "'one_bit' must have the shape (25,), it has (3,)",
        "'phase_error' must have the shape (6, 7), it has (2, 2)",
    ]


def test_errors_follow_the_scale_of_the_object_and_its_gaps() -> None:
    covered = np.ones((6, 7), bool)
    covered[0] = False
    scaled = QUALITY.masked(covered, 3.0)
    np.testing.assert_allclose(scaled.amplitude_error[1:], 3 * QUALITY.amplitude_error[1:])
    np.testing.assert_array_equal(scaled.phase_error[1:], QUALITY.phase_error[1:])
    assert np.isnan(scaled.phase_error[0]).all()
