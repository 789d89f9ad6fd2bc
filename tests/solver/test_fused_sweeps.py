"""Sweeps by fused loops give what the functions over `Ops` give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.physics.noise_models import NOISE_MODELS, AmplitudeNoise
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.regularizers import TotalVariation
from ptychopinn_plugin.physics.shifts import shift_terms, shifted_images, unshifted_sum
from ptychopinn_plugin.solver import sweeps
from ptychopinn_plugin.solver.estimators.position_columns import (
    Geometry,
    affine_columns,
    affine_sums,
    frame_sums,
    object_slopes,
)
from ptychopinn_plugin.solver.fused.fused_table import fused_functions
from ptychopinn_plugin.solver.unknowns import extrapolate
from ptychopinn_plugin.solver.updates import apply_gains, update_object
from tests.solver.fused_worlds import (
    LOOPS_ARE_MISSING,
    WORLDS,
    World,
    sums_of,
    unknowns_and_batch,
)

pytestmark = pytest.mark.skipif(LOOPS_ARE_MISSING, reason='Numba is not installed')

TOLERANCE = 1e-5


def fused(function: Any) -> Any:
    return fused_functions()[function]


def assert_same(found: Any, wanted: Any) -> None:
    if wanted is None:
        assert found is None
        return
    assert found.dtype == wanted.dtype
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize('noise', NOISE_MODELS.values(), ids=NOISE_MODELS)
@pytest.mark.parametrize('world', WORLDS, ids=str)
def test_sums_are_the_same(world: World, noise: Any) -> None:
    unknowns, batch, good = unknowns_and_batch(world)
    results = [
        function(
            ProcessorOps(),
            noise,
            sums_of(world, unknowns, batch, with_dose=True, with_probe=True),
            unknowns,
            batch,
            good,
        )
        for function in (fused(sweeps.add_batch), sweeps.add_batch)
    ]
    (found, ratios), (wanted, wanted_ratios) = results
    assert float(wanted.misfit) > 0
    assert abs(wanted.direction).max() > 0
    for one, other in zip((*found, ratios), (*wanted, wanted_ratios), strict=True):
        assert_same(one, other)
    one, other = (
        function(ProcessorOps(), noise, unknowns, batch, good)
        for function in (fused(sweeps.batch_misfit), sweeps.batch_misfit)
    )
    np.testing.assert_allclose(one, other, rtol=TOLERANCE)


@pytest.mark.parametrize(('size', 'modes'), [(64, 1), (48, 3), (33, 2)])
def test_images_of_shifts_and_their_adjoint_are_the_same(size: int, modes: int) -> None:
    rng = np.random.default_rng(4)
    ops, factors = ProcessorOps(), shift_terms(size, 4).factors
    shape = (len(factors), modes, size, size)
    images = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    given = images.copy()
    for function, argument in ((shifted_images, images[0]), (unshifted_sum, images)):
        found = fused(function)(ops, argument, factors)
        assert found.flags.c_contiguous
        assert_same(found, function(ops, argument, factors))
    np.testing.assert_array_equal(images, given)


@pytest.mark.parametrize('modes', [None, 1, 2])
@pytest.mark.parametrize('world', WORLDS, ids=str)
def test_sums_of_positions_are_the_same(world: World, modes: int | None) -> None:
    unknowns, batch, good = unknowns_and_batch(world)
    slopes = object_slopes(ProcessorOps(), unknowns.canvas_object)
    found, wanted = (
        function(ProcessorOps(), unknowns, slopes, batch, good, modes)
        for function in (fused(frame_sums), frame_sums)
    )
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize('noise', NOISE_MODELS.values(), ids=NOISE_MODELS)
@pytest.mark.parametrize('modes', [None, 1])
@pytest.mark.parametrize('world', WORLDS, ids=str)
def test_sums_of_an_affine_change_are_the_same(world: World, modes: int | None, noise: Any) -> None:
    unknowns, batch, good = unknowns_and_batch(world)
    slopes = object_slopes(ProcessorOps(), unknowns.canvas_object)
    rng = np.random.default_rng(3)
    pixels = np.arange(world.size, dtype=np.float32)
    phases = 1j * rng.uniform(size=(3, world.size, world.size))
    geometry = Geometry(
        pixels[:, None] - np.float32(11.3),
        pixels[None] - np.float32(9.6),
        phases.astype(np.complex64),
        rng.uniform(size=phases.shape[1:]).astype(np.float32),
    )
    given = (ProcessorOps(), unknowns, slopes, batch, good, geometry, noise, modes)
    found = fused(affine_sums)(*given)
    columns, residual = affine_columns(*given)
    flat = np.stack([column.ravel() for column in columns]).astype(np.float64)
    rest = residual.ravel().astype(np.float64)
    matrix, size = flat @ flat.T, np.sqrt(np.sum(flat**2, axis=1))
    for sums in (found, affine_sums(*given)):
        # Relative to the lengths of the vectors: products may cancel.
        found_score = np.array(sums.score) / size / np.linalg.norm(rest)
        np.testing.assert_allclose(
            found_score, flat @ rest / size / np.linalg.norm(rest), atol=TOLERANCE
        )
        np.testing.assert_allclose(sums.spread, flat**2 @ rest**2, rtol=10 * TOLERANCE)
        rows, others = np.triu_indices(len(flat))
        lengths = size[rows] * size[others]
        wanted = matrix[rows, others] / lengths
        np.testing.assert_allclose(np.array(sums.products) / lengths, wanted, atol=TOLERANCE)


def test_objects_step_as_far() -> None:
    rng = np.random.default_rng(0)
    shape = (37, 41)
    arrays = [
        (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
        for _ in range(3)
    ]
    dose = rng.uniform(0, 9, shape).astype(np.float32)
    regularizer = TotalVariation(0.1)
    for given in (((), None), ((), np.float32(20)), ((regularizer,), None)):
        (found, found_sums), (wanted, wanted_sums) = (
            function(
                ProcessorOps(),
                arrays[0],
                arrays[1],
                dose,
                np.float32(0.7),
                (arrays[2].copy(), dose.copy()),
                *given,
            )
            for function in (fused(update_object), update_object)
        )
        for one, other in zip((found, *found_sums), (wanted, *wanted_sums), strict=True):
            assert_same(one, other)


@pytest.mark.parametrize('plane', [(37, 41), (40, 41), (37, 45), (40, 45)])
def test_the_prior_scales_as_much(plane: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = (rng.normal(size=(37, 41)) + 1j * rng.normal(size=(37, 41))).astype(np.complex64)
    gains = (rng.uniform(size=plane) / math.prod(plane)).astype(np.float32)
    given = image.copy()
    borders = [
        np.zeros(one, np.complex64) for one in ((plane[0] - 37, 41), (plane[0], plane[1] - 41))
    ]
    found, wanted = (
        function(ProcessorOps(), given, gains, *borders)
        for function in (fused(apply_gains), apply_gains)
    )
    np.testing.assert_array_equal(given, image)
    assert_same(found, wanted)
    padded = np.zeros(plane, np.complex64)
    padded[:37, :41] = image
    by_hand = np.fft.ifft2(np.fft.fft2(padded) * gains * math.prod(plane))
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_unknowns_are_extrapolated_as_far() -> None:
    rng = np.random.default_rng(2)
    now, earlier = (rng.normal(size=(2, 5, 14)).astype(np.float32).view(np.complex64) for _ in '12')
    momentum = np.array(0.7, np.float32)
    for one, other in (
        (now, earlier),
        (now.real, earlier.real),
        (now[:, :, ::2], earlier[..., 1:]),
    ):
        other = other[..., : one.shape[-1]]
        found, wanted = (
            function(ProcessorOps(), one, other, momentum)
            for function in (fused(extrapolate), extrapolate)
        )
        assert_same(found, wanted)
        np.testing.assert_allclose(found, 1.7 * one - 0.7 * other, atol=1e-5)


@pytest.mark.parametrize('with_probe', [False, True])
def test_sums_go_on_from_those_before_with_kept_probes(*, with_probe: bool) -> None:
    world = World(modes=2)
    unknowns, batch, good = unknowns_and_batch(world)
    probes, _ = sweeps.frame_probes(ProcessorOps(), unknowns, batch)
    kept = batch._replace(probes=probes, shift_images=None, shift_weights=None)
    results = []
    for function in (fused(sweeps.add_batch), sweeps.add_batch):
        sums = sums_of(world, unknowns, kept, with_dose=False, with_probe=with_probe)
        for _ in range(2):
            sums, _ = function(ProcessorOps(), NOISE_MODELS['poisson'], sums, unknowns, kept, good)
        results.append(sums)
    for found, wanted in zip(*results, strict=True):
        assert_same(found, wanted)


def test_what_has_no_loop_is_computed_by_the_function_itself() -> None:
    class OtherNoise(AmplitudeNoise):
        pass

    world = World(frames=2)
    unknowns, batch, good = unknowns_and_batch(world)
    double = unknowns._replace(canvas_object=unknowns.canvas_object.astype(np.complex128))
    for noise, some in ((OtherNoise(), unknowns), (NOISE_MODELS['amplitude'], double)):
        found, wanted = (
            function(ProcessorOps(), noise, some, batch, good)
            for function in (fused(sweeps.batch_misfit), sweeps.batch_misfit)
        )
        assert found == wanted
        sums = sums_of(world, unknowns, batch, with_dose=True, with_probe=False)
        added, _ = fused(sweeps.add_batch)(ProcessorOps(), noise, sums, some, batch, good)
        np.testing.assert_allclose(added.misfit, wanted, rtol=TOLERANCE)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_not_finite_stays_so(value: float) -> None:
    world = World(frames=2)
    unknowns, batch, good = unknowns_and_batch(world)
    broken = unknowns.canvas_object.copy()
    broken[30, 30] = value
    for noise in NOISE_MODELS.values():
        misfit = fused(sweeps.batch_misfit)(
            ProcessorOps(), noise, unknowns._replace(canvas_object=broken), batch, good
        )
        assert not np.isfinite(misfit)


def test_dark_frames_stay_finite() -> None:
    world = World(frames=2, background=True, masked=True)
    unknowns, batch, _ = unknowns_and_batch(world)
    dark = unknowns._replace(
        canvas_object=np.zeros_like(unknowns.canvas_object),
        background=np.zeros_like(unknowns.background),
    )
    for noise in NOISE_MODELS.values():
        for seen in (batch, batch._replace(amplitudes=np.zeros_like(batch.amplitudes))):
            sums = sums_of(world, dark, seen, with_dose=True, with_probe=True)
            found, _ = fused(sweeps.add_batch)(ProcessorOps(), noise, sums, dark, seen, None)
            assert all(np.isfinite(one).all() for one in found if one is not None)
