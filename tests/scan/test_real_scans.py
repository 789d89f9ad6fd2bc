"""Real scans that lie beside the project on developers' machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan.preflight import preflight

DATA = Path(__file__).parents[3] / 'shared' / 'data'


def existing(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f'{path} is not on this machine')
    return path


def test_the_siemens_star() -> None:
    scan = load_npz(existing('siemens-velociprobe.npz'))
    report = preflight(scan)
    assert scan.counts.shape == (516, 128, 128)
    assert np.array_equal(scan.counts, np.rint(scan.counts))
    assert report.photons_per_frame.mean == pytest.approx(4.6e5, rel=0.02)
    assert report.photon_ratio == pytest.approx(1, rel=1e-3)
    assert report.zero_frequency == 'center'
    assert report.canvas_shape == (476, 473)
    assert report.neighbour_step_px == pytest.approx(9, abs=0.2)
    assert report.recommendations == ()


def test_a_result_without_frames_says_so() -> None:
    with pytest.raises(ScanDataError, match="neither 'diffraction' nor 'diff3d'"):
        load_npz(existing('run1084-probe-object-positions.npz'))
