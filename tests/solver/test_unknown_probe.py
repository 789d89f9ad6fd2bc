"""Scans without any probe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan_writer import scan_arrays
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData, continue_from
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.helpers import KnownScan, make_known_scan
from tests.io.result_examples import perfect_reconstruction
from tests.solver.scans import core_score


def known() -> KnownScan:
    return make_known_scan(side=9, step_px=4.0, photons=1e6)


def without_probe(folder: Path, scan: ScanData, **members: np.ndarray) -> Path:
    """Write a scan without its probe."""
    arrays = scan_arrays(scan) | members
    arrays.pop('probeGuess')
    np.savez(folder / 'scan.npz', allow_pickle=False, **arrays)
    return folder / 'scan.npz'


def test_a_file_without_a_probe_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    scan = known().scan
    path = without_probe(tmp_path, scan)
    with pytest.raises(ScanDataError, match="'probeGuess' is missing"):
        load_scan(path)
    read = load_scan(path, needs_probe=False)
    assert read.metadata.probe_is_unknown
    assert any('the file has no probe' in decision for decision in read.decisions)
    photons = scan.counts.sum(axis=(1, 2), dtype=np.float64).mean()
    assert np.sum(np.abs(read.probe) ** 2) == pytest.approx(photons, rel=1e-4)
    given = load_scan(path, needs_probe=False, probe=scan.probe)
    assert not given.metadata.probe_is_unknown
    result = perfect_reconstruction(scan, np.ones((99, 99), np.complex64))
    assert not continue_from(read, result).metadata.probe_is_unknown


def test_counts_that_are_wrong_are_named_and_no_probe(tmp_path: Path) -> None:
    scan = known().scan
    frames = np.sqrt(scan.counts)
    frames[2, 3, 4] = np.nan
    path = without_probe(tmp_path, scan, diffraction=frames)
    with pytest.raises(ScanDataError) as caught:
        load_scan(path, needs_probe=False)
    assert not any('probe' in fault for fault in caught.value.faults)


def test_it_is_reconstructed_from_the_frames_alone(ops: Ops) -> None:
    scan = known().scan
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=True)
    lost = dataclasses.replace(scan, metadata=metadata, probe=np.ones_like(scan.probe))
    solver = prepare_solver(ops, lost, InferenceConfig(), lambda: None)
    for _ in range(20):
        solver.one_pass()
    solver.finish()
    assert core_score(solver, known()).nrmse < 0.2
    assert any('no probe' in remark for remark in solver.remarks())


def test_a_probe_that_is_not_refined_must_be_given(ops: Ops) -> None:
    scan = known().scan
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=True)
    lost = dataclasses.replace(scan, metadata=metadata)
    config = InferenceConfig(update_probe='off')
    with pytest.raises(ScanDataError, match='give a probe'):
        prepare_solver(ops, lost, config, lambda: None)
