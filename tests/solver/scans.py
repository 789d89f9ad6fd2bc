"""Scans that are well behaved and scans that are not, and a way to solve them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.metrics import Score, score
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import KnownScan, expected_counts, make_known_scan, make_scan

Values = npt.NDArray[Any]


def known_scan(**options: Any) -> KnownScan:
    """Make a scan that determines its object well, noise-free unless asked for."""
    return make_known_scan(**{'side': 8, 'step_px': 4.0, 'noise': False} | options)


def make_solver(ops: Ops, scan: ScanData, **settings: Any) -> AcceleratedSolver:
    config = InferenceConfig(**settings)
    problem = Problem.for_scan(ops, scan, config.subsets, fixed_probe=config.update_probe != 'on')
    return AcceleratedSolver(problem, config)


def prepared(ops: Ops, scan: ScanData, passes: int, **settings: Any) -> AcceleratedSolver:
    """Do some passes of the solver that an inference config asks for."""
    config = InferenceConfig(**{'update_probe': True} | settings)
    solver = prepare_solver(ops, scan, config, lambda: None)
    for _ in range(passes):
        solver.one_pass()
    return solver


def solve(ops: Ops, scan: ScanData, passes: int, **settings: Any) -> AcceleratedSolver:
    """Do some passes and finish."""
    solver = make_solver(ops, scan, **settings)
    for _ in range(passes):
        solver.one_pass()
    solver.finish()
    return solver


def place(ops: Ops, canvas_object: Values, probe: Values) -> Unknowns:
    """Bring an object and a probe to the device."""
    return Unknowns(ops.array(canvas_object), ops.array(probe))


def object_of(solver: AcceleratedSolver) -> Values:
    return solver.problem.ops.numpy(solver.canvas_object)


def probe_of(solver: AcceleratedSolver) -> Values:
    return solver.problem.ops.numpy(solver.probe)


def core_score(solver: AcceleratedSolver, known: KnownScan) -> Score:
    """Compare the object with the truth between the outermost positions."""
    core = scanned_core(known.scan.positions_px)
    return score(object_of(solver)[core], known.ground_truth[core])


def defocused(probe: Values, radians: float = 30.0) -> Values:
    """Return a probe with a quadratic phase in Fourier space."""
    frequency = np.fft.fftfreq(probe.shape[-1])
    lens = np.exp(1j * radians * (frequency[:, None] ** 2 + frequency**2))
    return np.asarray(np.fft.ifft2(np.fft.fft2(probe) * lens).astype(np.complex64))


def random_probe(probe: Values) -> Values:
    """Return complex noise of as many photons."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=probe.shape) + 1j * rng.normal(size=probe.shape)
    noise *= np.linalg.norm(probe) / np.linalg.norm(noise)
    return np.asarray(noise.astype(np.complex64))


def with_probe(scan: ScanData, change: Callable[[Values], Values]) -> ScanData:
    return dataclasses.replace(scan, probe=change(scan.probe))


def with_counts(scan: ScanData, change: Callable[[Values], Values]) -> ScanData:
    return dataclasses.replace(scan, counts=change(scan.counts).astype(np.float32))


def with_positions(scan: ScanData, change: Callable[[Values], Values]) -> ScanData:
    return dataclasses.replace(scan, positions_px=change(scan.positions_px))


def _only_first(counts: Values) -> Values:
    return np.where((np.arange(len(counts)) == 0)[:, None, None], counts, 0)


def _one_hot(counts: Values) -> Values:
    return counts * np.where(np.arange(len(counts)) == 3, 1000, 1)[:, None, None]


def _one_place(positions: Values) -> Values:
    return np.where((np.arange(len(positions)) == 1)[:, None], positions[:1] + 1, positions[:1])


HARD_SCANS: dict[str, Callable[[], ScanData]] = {
    'plain': make_scan,
    'three modes': lambda: make_scan(modes=3),
    'sparse': lambda: make_scan(side=4, step_px=18),
    'disjoint': lambda: make_scan(side=3, step_px=40),
    'a photon a frame': lambda: make_scan(photons=1),
    '10 photons': lambda: make_scan(photons=10),
    '100 photons': lambda: make_scan(photons=100),
    '1000 photons': lambda: make_scan(photons=1000),
    '10 photons, sparse': lambda: make_scan(side=4, step_px=18, photons=10),
    'bright': lambda: make_scan(photons=1e9),
    'probe too strong': lambda: with_probe(make_scan(), lambda probe: probe * np.float32(3)),
    'probe too weak': lambda: with_probe(make_scan(), lambda probe: probe / np.float32(3)),
    'probe without scale': lambda: with_probe(make_scan(), lambda probe: probe * np.float32(100)),
    'probe out of focus': lambda: with_probe(make_scan(), lambda probe: defocused(probe, 800)),
    'random probe': lambda: with_probe(make_scan(), random_probe),
    'random modes': lambda: with_probe(make_scan(modes=2), random_probe),
    'random probe, sparse': lambda: with_probe(make_scan(side=4, step_px=18), random_probe),
    'two frames': lambda: make_scan().subset(np.array([0, 7])),
    'three frames': lambda: make_scan().subset(np.array([0, 7, 13])),
    'nearly all pixels bad': lambda: make_scan(side=4, bad_pixels=1010),
    'one frame lit': lambda: with_counts(make_scan(), _only_first),
    'one frame too bright': lambda: with_counts(make_scan(), _one_hot),
    'frames in reverse order': lambda: with_counts(make_scan(), lambda counts: counts[::-1]),
    'all at one place': lambda: with_positions(make_scan(), _one_place),
}


def raster_scan(side: int = 9, step_px: float = 5.0, photons: float = 1e6) -> KnownScan:
    """Make a noise-free scan whose positions lie on an exact raster."""
    known = make_known_scan(side=side, step_px=step_px, noise=False, photons=photons)
    nodes = np.indices((side, side)).reshape(2, -1).T.astype(np.float64)
    size = known.scan.frame_size
    positions = nodes * step_px + size // 2 + 3
    counts = expected_counts(known.ground_truth, known.scan.probe, positions).astype(np.float32)
    scan = dataclasses.replace(known.scan, positions_px=positions, counts=counts)
    return KnownScan(scan, known.ground_truth)
