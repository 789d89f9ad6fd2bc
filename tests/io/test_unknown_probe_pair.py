"""A scan without a probe stays one as files of Ptychodus, whose products always have a probe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus_folder
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.builder import focused_probe
from tests.helpers import make_scan


def _unknown() -> ScanData:
    scan = make_scan(bad_pixels=4)
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=True)
    return dataclasses.replace(scan, metadata=metadata, probe=focused_probe(scan.counts))


def _read_back(folder: Path, scan: ScanData) -> ScanData:
    save_ptychodus_pair(folder / 'pair', scan)
    return load_ptychodus_folder(folder / 'pair')


def test_a_placeholder_is_known_as_such_when_it_is_read(tmp_path: Path) -> None:
    assert _read_back(tmp_path, _unknown()).metadata.probe_is_unknown


def test_a_probe_that_the_product_got_since_is_kept(tmp_path: Path) -> None:
    guess = make_scan().probe
    found = _read_back(tmp_path, dataclasses.replace(_unknown(), probe=guess))
    assert not found.metadata.probe_is_unknown
    np.testing.assert_allclose(found.probe, guess, rtol=1e-3, atol=1e-4 * np.abs(guess).max())


def test_a_probe_that_was_given_is_no_placeholder(tmp_path: Path) -> None:
    given = dataclasses.replace(make_scan(), probe=_unknown().probe)
    assert not _read_back(tmp_path, given).metadata.probe_is_unknown
