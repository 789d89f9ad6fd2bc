"""Hot and dark pixels of a detector are found, and those of a sound one are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.bad_pixels import BadPixels, find_bad_pixels
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.scan.statistics import frame_statistics
from tests.helpers import make_scan

ROW, COLUMN = np.indices((32, 32)) - 16


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=5, step_px=4.0)


def found_in(scan: ScanData, dark: np.ndarray, background: float = 0.0) -> BadPixels:
    counts = scan.counts + np.float32(background)
    counts[:, dark] = background
    changed = dataclasses.replace(scan, counts=counts)
    return find_bad_pixels(changed, frame_statistics(changed).mean_frame)


@pytest.mark.parametrize('photons', [1e3, 1e5])
@pytest.mark.parametrize('background', [0.0, 2.0])
def test_a_sound_detector_has_none(photons: float, background: float) -> None:
    scan = make_scan(frame_size=32, side=5, step_px=4.0, photons=photons)
    found = found_in(scan, np.zeros((32, 32), bool), background)
    assert not found.dark.any()
    assert not found.hot.any()


@pytest.mark.parametrize('background', [0.0, 2.0])
def test_beamstop_gap_and_dead_pixels(scan: ScanData, background: float) -> None:
    stop = np.hypot(ROW, COLUMN) < 4
    found = found_in(scan, stop, background)
    np.testing.assert_array_equal(found.dark, stop)
    assert not found.hot.any()
    assert found.dark_regions() == ('a beamstop or gap at rows 13 to 19, columns 13 to 19',)
    gap = COLUMN == 3
    found = found_in(scan, gap, background)
    assert not (found.dark & ~gap).any()
    assert found.dark[12:20, 19].all()
    dead = ((ROW == 2) & (COLUMN == 1)) | ((ROW == -3) & (COLUMN == 0))
    found = found_in(scan, dead, background)
    np.testing.assert_array_equal(found.dark, dead)
    assert found.dark_regions() == ('2 dead pixels',)


def test_a_hole_that_the_probe_has_is_not_the_detectors() -> None:
    scan = make_scan(frame_size=32, side=5, step_px=4.0)
    hole = np.hypot(ROW, COLUMN) < 3
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(scan.probe[0])))
    wave = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(np.where(hole, 0, spectrum))))
    probe = wave[np.newaxis].astype(np.complex64)
    assert not found_in(dataclasses.replace(scan, probe=probe), hole).dark.any()


def test_masked_pixels_are_no_news(scan: ScanData) -> None:
    stop = np.hypot(ROW, COLUMN) < 4
    masked = dataclasses.replace(scan, mask=stop)
    assert not found_in(masked, stop).dark.any()
    report = preflight(masked)
    assert report.dark_regions == ()
    # Those beside a masked beamstop are bright for good reason.
    assert report.hot_pixels == ()
    assert 0.3 < report.masked_light < 0.999


def test_the_report_names_them(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[:, 17, 18] = 0
    counts[:, 3, 29] = 50_000
    report = preflight(dataclasses.replace(scan, counts=counts))
    assert report.hot_pixels == ((3, 29),)
    assert any('between bright ones: 1 dead pixels:' in warning for warning in report.warnings)
    hidden = preflight(dataclasses.replace(scan, mask=np.hypot(ROW, COLUMN) < 12))
    assert any('keep it with update_probe = off' in warning for warning in hidden.warnings)
