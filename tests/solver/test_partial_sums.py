"""Batches divided among threads: the same bytes with any number of them, and none left over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.worker_threads import worker_threads
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.fused.fused_table import fused_functions
from ptychopinn_plugin.solver.misfits import amplitude_misfits
from ptychopinn_plugin.solver.partial_sums import (
    BATCHES_AHEAD,
    add_in_parts,
    in_turn,
    part_count,
)
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.helpers import make_scan
from tests.solver.scans import object_of, probe_of

SETTINGS: dict[str, dict[str, Any]] = {
    'probe fixed': {'update_probe': 'off', 'object_prior': False},
    'all refined': {
        'update_probe': 'on',
        'update_positions': 'on',
        'update_flux': True,
        'update_background': True,
        'opr_modes': 1,
        'probe_modes': 2,
        'noise_model': 'amplitude',
    },
}
BATCH_PIXELS = 4 * 32**2


@contextmanager
def with_threads(framework: str, count: int) -> Iterator[Ops]:
    """Give Ops that divide batches among threads."""
    if framework == 'numpy':
        ops = ProcessorOps(fused_functions())
        ops.batch_pixels = BATCH_PIXELS
        with ops.batches_on_cores(count):
            yield ops
        assert ops.threads == 1
        return
    import torch

    from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps
    from ptychopinn_plugin.backends.pytorch.devices import pytorch_threads
    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    tensors = framework == 'pytorch tensors'
    torch_ops = TorchOps(torch.device('cpu')) if tensors else TorchCpuOps()
    torch_ops.batch_pixels, torch_ops.fused_functions = BATCH_PIXELS, fused_functions()
    with pytorch_threads(count), torch.no_grad(), torch_ops.batches_on_cores():
        yield torch_ops


@given(batches=st.integers(0, 200), frames=st.integers(1, 50), canvas=st.integers(0, 5000))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_parts_are_an_even_number_of_neighbours(batches: int, frames: int, canvas: int) -> None:
    parts = part_count(batches, batches * frames, canvas)
    assert parts == 1 or (parts % 2 == 0 and parts <= batches)
    assert (parts - 1) * canvas <= batches * frames
    ordered = in_turn(range(batches), parts)
    assert sorted(ordered) == list(enumerate_parts(batches, parts))
    lengths = [sum(part == one for part, _ in ordered) for one in range(parts)]
    assert max(lengths) - min(lengths) <= 1
    assert [part for part, _ in ordered[:parts]] == list(range(min(parts, batches)))


def enumerate_parts(batches: int, parts: int) -> Iterator[tuple[int, int]]:
    for part in range(parts):
        for batch in range(batches * part // parts, batches * (part + 1) // parts):
            yield part, batch


@pytest.mark.parametrize('count', [1, 2, 3, 5])
def test_each_sum_has_its_items_in_order(count: int) -> None:
    with worker_threads(count) as workers:
        assert len(workers) == (count if count > 1 else 0)
        items = in_turn('abcdefghijk', 4)
        found = add_in_parts(workers, items, ['1', '2', '3', '4'], lambda one, item: one + item)
    assert found == ['1ab', '2cde', '3fgh', '4ijk']


def test_what_a_thread_raises_is_raised_as_it_is_and_ends_the_work() -> None:
    error, added, taken = ValueError('the third'), [], []

    def add(total: int, item: int) -> int:
        added.append(item)
        if item == 3:
            raise error
        return total

    def items() -> Iterator[tuple[int, int]]:
        for number in range(100):
            taken.append(number)
            yield number % 4, number

    before = threading.active_count()
    with worker_threads(2) as workers:
        with pytest.raises(ValueError, match='the third') as caught:
            add_in_parts(workers, items(), [0] * 4, add)
        assert caught.value is error
        assert len(taken) < 100
        ended = len(added)
        # The threads have nothing more to do, and can be used again.
        assert add_in_parts(workers, [(0, 5), (1, 6)], [1, 2], lambda one, item: one + item) == [
            6,
            8,
        ]
        assert len(added) == ended
    assert threading.active_count() == before


def test_batches_are_not_taken_far_ahead_of_the_threads() -> None:
    done, ahead = [0], []

    def add(_: None, item: int) -> None:
        done[0] += 1

    def items() -> Iterator[tuple[int, int]]:
        for number in range(60):
            ahead.append(number - done[0])
            yield number % 6, number

    with worker_threads(3) as workers:
        add_in_parts(workers, items(), [None] * 6, add)
    assert max(ahead) <= 3 * BATCHES_AHEAD


def results(ops: Ops, chosen: str) -> dict[str, bytes]:
    """Return what all loops over batches give after a few passes."""
    scan = make_scan(side=8, modes=2, photons=1e4)
    config = InferenceConfig(subsets=2, **SETTINGS[chosen])
    solver = prepare_solver(ops, scan, config, lambda: None)
    problem = solver.problem
    batches = problem.subsets[0]
    assert problem.parts_of(batches, on_canvas=True) > 1
    assert problem.parts_of(batches) >= 4
    residuals = [solver.one_pass() for _ in range(3)]
    found = {
        'object': object_of(solver),
        'probe': probe_of(solver),
        'positions': problem.positions_px,
        'ratios': problem.frame_values.photon_ratios,
        'residuals': np.array([*residuals, solver.finish()]),
        'dose': ops.numpy(problem.dose(solver.probe)),
        'misfits': np.array(list(vars(amplitude_misfits(solver)).values())),
    }
    return {name: values.tobytes() for name, values in found.items()}


@pytest.mark.parametrize('chosen', SETTINGS)
@pytest.mark.parametrize(
    'framework',
    [
        'numpy',
        pytest.param('pytorch', marks=pytest.mark.pytorch),
        pytest.param('pytorch tensors', marks=pytest.mark.pytorch),
    ],
)
def test_the_number_of_threads_changes_no_byte(framework: str, chosen: str) -> None:
    found = []
    for count in (1, 2, 3):
        with with_threads(framework, count) as ops:
            found.append(results(ops, chosen))
    assert found[0] == found[1] == found[2]


class ThreadsOfSweeps(NumpyOps):
    """Keeps which threads have transformed frames."""

    batch_pixels = BATCH_PIXELS

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.seen: set[str] = set()

    def fft2_unscaled(self, x: Array) -> Array:
        self.seen.add(threading.current_thread().name)
        return super().fft2_unscaled(x)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_as_many_threads_work_as_there_are_and_none_is_left(count: int) -> None:
    ops, before = ThreadsOfSweeps(count), threading.active_count()
    solver = AcceleratedSolver(
        Problem.for_scan(ops, make_scan(side=8), 1, fixed_probe=True), InferenceConfig()
    )
    solver.one_pass()
    ops.seen.clear()
    solver.problem.sweep(solver.state.now, 0, with_probe=False)
    assert len(ops.seen) == count
    assert ops.seen == {threading.main_thread().name} or all('batches' in one for one in ops.seen)
    assert threading.active_count() == before


def test_a_stop_is_obeyed_while_threads_work() -> None:
    ops, asked, before = ThreadsOfSweeps(2), 0, threading.active_count()

    def check() -> None:
        nonlocal asked
        assert threading.current_thread() is threading.main_thread()
        asked += 1
        if asked == 5:
            raise Cancelled('stopped on request')

    problem = Problem.for_scan(ops, make_scan(side=8), 1, fixed_probe=True, check=check)
    with pytest.raises(Cancelled, match='stopped on request'):
        AcceleratedSolver(problem, InferenceConfig()).one_pass()
    assert asked == 5
    assert threading.active_count() == before


def test_sums_of_a_large_object_are_few() -> None:
    """The partial sums of 50,000 frames of 128 x 128 would take 0.6 GB."""
    frames, canvas = 50_000 // 8, 1_250**2
    assert part_count(frames // 8, frames * 128**2, canvas) * canvas <= 2**23
    assert part_count(frames // 8, frames * 128**2, 100 * canvas) <= 4
    assert part_count(frames // 8, frames * 128**2, canvas // 50) == 32
