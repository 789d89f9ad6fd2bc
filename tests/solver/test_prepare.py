"""What a config asks for, what a scan is, and what the solver then does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.automatic import refines_probe
from tests.solver.scans import known_scan, object_of, probe_of


def no_check() -> None:
    """Never stop."""


def prepared(scan: ScanData, **settings: object) -> AcceleratedSolver:
    config = InferenceConfig.model_validate(settings)
    return prepare_solver(NumpyOps(), scan, config, no_check)


def reconstructed_before(scan: ScanData) -> ScanData:
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    return dataclasses.replace(scan, metadata=metadata)


@pytest.mark.parametrize('auto', [False, True])
@pytest.mark.parametrize(
    ('asked', 'refined', 'wanted'),
    [('auto', False, True), ('auto', True, False), ('on', True, True), ('off', False, False)],
)
def test_the_probe_is_refined_where_it_is_a_guess(
    asked: str, refined: bool, wanted: bool, auto: bool
) -> None:
    scan = known_scan(side=3).scan
    scan = reconstructed_before(scan) if refined else scan
    config = InferenceConfig.model_validate({'update_probe': asked, 'auto': auto})
    assert refines_probe(config, scan) is wanted
    solver = prepared(scan, update_probe=asked)
    assert solver.refines_probe is wanted
    for _ in range(2):
        solver.one_pass()
    assert np.array_equal(solver.probe, scan.probe) is not wanted


def test_auto_leaves_a_fixed_probe_its_modes() -> None:
    scan = known_scan(side=3).scan
    fixed = prepared(reconstructed_before(scan), auto=True)
    np.testing.assert_array_equal(fixed.probe, scan.probe)
    assert fixed.config.stop_early
    assert len(prepared(scan, auto=True).probe) > 1


def passes(solver: AcceleratedSolver, number: int) -> float:
    for _ in range(number):
        solver.one_pass()
    return solver.finish()


@pytest.mark.parametrize('update_probe', ['off', 'on'])
def test_a_second_half_ends_where_the_whole_does(ops: Ops, update_probe: str) -> None:
    scan = known_scan(noise=True, photons=1e4).scan
    config = InferenceConfig.model_validate({'update_probe': update_probe})
    more = config.model_copy(update={'initial': 'product'})
    first = prepare_solver(ops, scan, config, no_check)
    half = passes(first, 12)
    begun = dataclasses.replace(
        reconstructed_before(scan), object_guess=object_of(first), probe=probe_of(first)
    )
    second = prepare_solver(ops, begun, more, no_check)
    assert second.residual() == pytest.approx(half, rel=1e-2)
    whole = passes(prepare_solver(ops, scan, config, no_check), 24)
    assert passes(second, 12) == pytest.approx(whole, rel=0.05)
    assert second.residual() < half


def test_a_guess_in_another_scale_fits_the_counts(ops: Ops) -> None:
    known = known_scan(bad_pixels=200)
    scaled = dataclasses.replace(known.scan, object_guess=3 * known.ground_truth)
    config = InferenceConfig(initial='product', update_probe='off')
    solver = prepare_solver(ops, scaled, config, no_check)
    np.testing.assert_allclose(object_of(solver), known.ground_truth, atol=1e-3)


def test_the_guess_lies_at_its_coordinates() -> None:
    known = known_scan(side=3)
    low = dataclasses.replace(
        known.scan,
        positions_px=known.scan.positions_px - 9,
        object_guess=known.ground_truth[9:, 9:],
    )
    solver = prepared(low, initial='product', update_probe='off')
    row, column = solver.problem.canvas.origin_px
    assert row < 0
    assert column < 0
    inner = object_of(solver)[-row:, -column:]
    scale = inner[0, 0] / known.ground_truth[9, 9]
    np.testing.assert_allclose(inner, scale * known.ground_truth[9:, 9:], rtol=1e-5)
    outside = object_of(solver)[:-row]
    np.testing.assert_allclose(outside, outside[0, 0])


@pytest.mark.parametrize('guess', [None, np.full((90, 90), 0.5j, np.complex64)])
def test_an_empty_guess_is_no_start(guess: np.ndarray[tuple[int, int], np.dtype] | None) -> None:
    scan = dataclasses.replace(known_scan(side=3).scan, object_guess=guess)
    with pytest.raises(
        ScanDataError,
        match='initial = product starts from the object',
    ):
        prepared(scan, initial='product')
