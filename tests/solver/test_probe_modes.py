"""Further modes of a probe: orthogonal, of the same light, and dropped where nothing needs them."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.probe_modes import (
    FIRST_LOOK,
    LAST_LOOK,
    SECOND_LOOK,
    STARTING_SHARE,
    ModeOrder,
    ModeSelection,
    hermite_modes,
    orthogonal_modes,
)
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import make_probe, make_scan
from tests.solver.scans import Values, make_solver, with_probe


def powers(probe: Values) -> Values:
    return np.asarray(np.sum(np.abs(probe) ** 2, axis=(1, 2), dtype=np.float64))


def products(probe: Values) -> Values:
    """Return the scalar products of all modes, (modes, modes)."""
    flat = probe.reshape(len(probe), -1).astype(np.complex128)
    return np.asarray(flat.conj() @ flat.T)


@pytest.mark.parametrize('given', [1, 2])
def test_added_modes_are_weak_and_orthogonal(given: int) -> None:
    probe = orthogonal_modes(make_probe(32, given))
    found = hermite_modes(probe, 6)
    assert found.shape == (6, 32, 32)
    assert found.dtype == np.complex64
    np.testing.assert_array_equal(found[:given], probe)
    np.testing.assert_allclose(
        powers(found)[given:], STARTING_SHARE * powers(probe).sum(), rtol=1e-4
    )
    size = np.sqrt(powers(found))
    cosines = np.abs(products(found)) / np.outer(size, size)
    np.testing.assert_allclose(cosines, np.eye(6), atol=1e-5)


def test_enough_modes_are_kept_as_they_are() -> None:
    probe = make_probe(32, 3)
    for count in (0, 1, 3):
        assert hermite_modes(probe, count) is probe


def test_orthogonal_modes_are_the_same_light() -> None:
    probe = make_probe(24, 3)
    found = orthogonal_modes(probe)
    flat, made = (one.reshape(3, -1).astype(np.complex128) for one in (probe, found))
    mutual = flat.T @ flat.conj()
    np.testing.assert_allclose(made.T @ made.conj(), mutual, atol=1e-5 * np.abs(mutual).max())
    before, after = (np.sum(np.abs(np.fft.fft2(one)) ** 2, axis=0) for one in (probe, found))
    np.testing.assert_allclose(after, before, atol=1e-5 * before.max())
    overlap = products(found)
    off = overlap - np.diag(np.diag(overlap))
    assert np.abs(off).max() < 1e-5 * overlap[0, 0].real
    assert np.abs(products(probe)[0, 1]) > 1e-3 * overlap[0, 0].real
    assert (np.diff(powers(found)) < 0).all()


def test_modes_of_a_result_are_orthogonal_and_ordered(ops: Ops) -> None:
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    scan = with_probe(
        make_scan(side=4, modes=2),
        lambda probe: np.asarray(np.tensordot(turn, probe, 1), np.complex64),
    )
    solver = make_solver(ops, scan)
    before, given = solver.residual(), products(scan.probe)
    ModeOrder().at_end(solver)
    found = products(ops.numpy(solver.probe))
    assert abs(given[0, 1]) > 1e-2 * given.trace().real
    assert abs(found[0, 1]) < 1e-4 * found.trace().real
    assert found[0, 0].real > found[1, 1].real
    assert solver.residual() == pytest.approx(before, rel=1e-3)


def test_orthogonal_modes_stay_as_they_are() -> None:
    probe = orthogonal_modes(make_probe(24, 3))
    np.testing.assert_allclose(orthogonal_modes(probe), probe, atol=1e-4 * np.abs(probe).max())


def test_modes_that_do_not_grow_are_dropped() -> None:
    ops = NumpyOps()
    scan = with_probe(make_scan(side=3), lambda probe: hermite_modes(probe, 4))
    solver = make_solver(ops, scan, update_probe=True)
    selection = ModeSelection(given=2)
    growth = np.array([1, 0.1, 1.5, 1.0], np.float32)

    def grow(unknowns: Unknowns) -> Unknowns:
        return unknowns._replace(probe=unknowns.probe * growth[:, None, None])

    for solver.passes in range(1, LAST_LOOK):
        selection.after_pass(solver)
    assert len(solver.probe) == 4
    solver.transform(grow)
    kept = solver.probe[:3]
    solver.passes = LAST_LOOK
    selection.after_pass(solver)
    np.testing.assert_array_equal(solver.probe, kept)
    np.testing.assert_array_equal(solver.state.earlier.probe, kept)
    assert FIRST_LOOK < LAST_LOOK


def scale_modes(solver: AcceleratedSolver, factors: list[float]) -> None:
    """Multiply the first modes of the probe by numbers."""
    placed = np.array(factors, np.float32)[: len(solver.probe), None, None]
    solver.transform(lambda unknowns: unknowns._replace(probe=unknowns.probe * placed))


def test_added_modes_that_fade_are_dropped_and_those_that_settle_stay() -> None:
    scan = with_probe(make_scan(side=3), lambda probe: hermite_modes(probe, 4))
    solver = make_solver(NumpyOps(), scan, update_probe=True)
    selection = ModeSelection(given=2)
    # Of the given modes the second fades too; of the added ones the first falls below half of its
    # largest share and settles there.
    counts = []
    for solver.passes in range(1, LAST_LOOK + 8):
        growth = [1.0, 1.0, 1.0, 1.0]
        if solver.passes == LAST_LOOK:
            growth = [1.0, 1.0, 1.5, 1.5]
        elif solver.passes > LAST_LOOK:
            growth = [1.0, 0.7, 0.75 if solver.passes == LAST_LOOK + 1 else 0.98, 0.85]
        scale_modes(solver, growth)
        selection.after_pass(solver)
        counts.append(len(solver.probe))
    assert counts[LAST_LOOK] == 4
    assert counts[-1] == 3
    assert selection.kept == 3


@pytest.mark.parametrize('few_frames', [True, False])
def test_modes_of_few_frames_that_grow_slowly_are_looked_at_again(few_frames: bool) -> None:
    scan = with_probe(make_scan(side=3), lambda probe: hermite_modes(probe, 4))
    solver = make_solver(NumpyOps(), scan, update_probe=True)
    selection = ModeSelection(given=1, few_frames=few_frames)
    counts = []
    # The second mode stays as it is, the third grows too little to be told at first, and stops.
    for solver.passes in range(1, SECOND_LOOK + 2):
        third = 1.02 if solver.passes <= LAST_LOOK else 1.0
        modes = len(solver.probe)
        growth = [1.0, 1.0, third, 1.025] if modes == 4 else [1.0, third, 1.025][:modes]
        scale_modes(solver, growth)
        selection.after_pass(solver)
        counts.append(len(solver.probe))
    after_first = 3 if few_frames else 1
    assert counts[LAST_LOOK - 2 : LAST_LOOK] == [4, after_first]
    assert counts[SECOND_LOOK - 2 : SECOND_LOOK] == ([3, 2] if few_frames else [1, 1])
    assert counts[-1] == selection.kept == counts[SECOND_LOOK]
