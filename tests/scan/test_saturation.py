"""Values that a detector cut off are counted, with the pixels that hold them."""

from __future__ import annotations

import dataclasses

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.saturation import Saturation
from tests.helpers import make_known_scan


def scan_of(most: float, photons: float = 1e6) -> ScanData:
    scan = make_known_scan(side=6, photons=photons).scan
    return dataclasses.replace(scan, counts=np.minimum(scan.counts, np.float32(most)))


def test_pixels_at_the_highest_count_are_found() -> None:
    scan = scan_of(5000)
    found = Saturation.of(scan)
    assert found is not None
    assert found.count == 5000
    assert found.values == np.count_nonzero(scan.counts == 5000)
    np.testing.assert_array_equal(found.pixels, (scan.counts == 5000).any(axis=0))


def test_masked_pixels_and_frames_of_few_counts_are_not_saturated() -> None:
    scan = scan_of(5000)
    mask = (scan.counts == 5000).any(axis=0)
    assert Saturation.of(dataclasses.replace(scan, mask=mask)) is None
    assert Saturation.of(scan_of(np.inf)) is None
    assert Saturation.of(scan_of(50)) is None


def test_a_result_says_so() -> None:
    config = InferenceConfig(refine_iterations=4, estimate_errors=False)
    for most in (5000, np.inf):
        result = run_reconstruction(NumpyOps(), scan_of(most), config, Monitor(), backend='pytorch')
        said = ' '.join((result.warning, *result.remarks))
        assert ('are the highest count, 5000' in said) == (most == 5000)
