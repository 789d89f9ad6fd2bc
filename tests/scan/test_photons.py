"""The photons of a scan are the same number wherever they are needed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.io.npz_scan_writer import scan_arrays
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import frame_photons, mean_photons
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.settings import create_training_config
from tests.helpers import make_scan


@pytest.fixture(scope='module')
def spoilt() -> ScanData:
    """Bad pixels may hold anything."""
    scan = make_scan(frame_size=16, side=4, bad_pixels=3)
    return dataclasses.replace(scan, counts=np.where(scan.mask, np.float32(1e6), scan.counts))


def test_bad_pixels_are_left_out(spoilt: ScanData) -> None:
    expected = spoilt.counts[:, ~spoilt.mask].sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(frame_photons(spoilt.counts, spoilt.mask), expected, rtol=1e-12)
    assert mean_photons(spoilt) == pytest.approx(expected.mean())
    assert mean_photons(spoilt) < frame_photons(spoilt.counts).mean() / 2


def test_the_mean_is_the_same_everywhere(spoilt: ScanData) -> None:
    photons = mean_photons(spoilt)
    training = create_training_config(spoilt, architecture='cnn').training
    assert training.nphotons == photons
    assert float(scan_arrays(spoilt)['nphotons']) == photons
    assert preflight(spoilt).photons_per_frame.mean == pytest.approx(photons, rel=1e-12)
