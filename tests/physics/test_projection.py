"""The gradient images are the derivatives of the amplitude deviance D.

With g the gradient image, D(x + t d) has at t = 0 the derivative -2 Re sum conj(g) d, for object
and probe alike: g is minus the Wirtinger derivative of D by the conjugate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from ptychopinn_plugin.physics.forward import expected_counts, propagate, shifted_probes
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, amplitude_deviance
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import (
    exit_residual,
    illumination,
    object_direction,
    preconditioned,
    probe_spectra,
)
from tests.physics.world import (
    Values,
    World,
    explicit_counts,
    explicit_probes,
    make_counts,
    make_ramps,
    make_waves,
    make_world,
    relative,
)

BAD = np.random.default_rng(8).uniform(size=(16, 16)) < 0.2
MASKS = pytest.mark.parametrize('good', [None, 1.0 - BAD], ids=['all good', 'masked'])


@pytest.fixture
def without_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even the darkest pixels follow the formula."""
    monkeypatch.setattr('ptychopinn_plugin.physics.noise_models.DARK_SHARE', 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Directions:
    canvas_object: Array
    probe: Array
    dose: Array


def measured_amplitudes(world: World) -> Values:
    """Return amplitudes that the world does not explain, float64."""
    return np.sqrt(np.random.default_rng(1).poisson(explicit_counts(world) * 0.8 + 0.5))


def residual_of(
    ops: Ops, waves: Array, expected: Array, amplitudes: Array, good: Array | None
) -> Array:
    """Return the residual of the exit waves for amplitudes."""
    _, factor = AMPLITUDE.misfit_and_factor(ops, expected, amplitudes, good)
    # A copy, since the waves may be changed in place.
    return exit_residual(ops, waves * 1, factor) / waves.shape[-1]


def directions(ops: Ops, world: World, amplitudes: Values, good: Values | None) -> Directions:
    """Return the gradient images on the canvas and of the probe."""
    ramps = make_ramps(ops, world)
    corners = ops.array(world.corners)
    probes = shifted_probes(ops, ops.array(world.probe), ramps)
    canvas_object = ops.array(world.canvas_object)
    patches = ops.cut(canvas_object, corners, world.size)
    waves = propagate(ops, probes, patches)
    placed = None if good is None else ops.array(good)
    expected = expected_counts(ops, waves)
    residual = residual_of(ops, waves, expected, ops.array(amplitudes), placed)
    return Directions(
        ops.add(canvas_object * 0, object_direction(ops, probes, residual), corners),
        ops.ifft2(ops.sum(probe_spectra(ops, patches, residual, ramps), (0,))) / world.size,
        ops.add(ops.real(canvas_object) * 0, illumination(ops, probes), corners),
    )


def slope(deviance: Callable[[float], float], width: float = 1e-4) -> float:
    """Return the derivative at 0 by central differences of fourth order."""
    near = deviance(width) - deviance(-width)
    far = deviance(2 * width) - deviance(-2 * width)
    return (8 * near - far) / (12 * width)


def random_like(values: Values, seed: int) -> Values:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=values.shape) + 1j * rng.normal(size=values.shape))


@pytest.mark.usefixtures('without_floor')
@MASKS
@pytest.mark.parametrize('part', ['canvas_object', 'probe'])
@pytest.mark.parametrize('modes', [1, 2])
def test_gradient_images_agree_with_finite_differences(
    part: str, modes: int, good: Values | None
) -> None:
    ops = NumpyOps()
    world = make_world(16, modes).in_double()
    amplitudes = measured_amplitudes(world)
    value = getattr(world, part)
    image = getattr(directions(ops, world, amplitudes, good), part)
    tolerance = 1e-6 * np.linalg.norm(image) * np.sqrt(2 * value.size)
    for seed in range(3):
        change = random_like(value, seed)

        def deviance(step: float, change: Values = change) -> float:
            moved = dataclasses.replace(world, **{part: value + step * change})
            expected = make_counts(ops, moved)
            return ops.number(amplitude_deviance(ops, expected, amplitudes, good))

        assert slope(deviance) == pytest.approx(-2 * np.vdot(image, change).real, abs=tolerance)


def test_no_residual_where_the_model_explains_the_counts(ops: Ops) -> None:
    world = make_world()
    waves = make_waves(ops, world)
    expected = expected_counts(ops, waves)
    residual = ops.numpy(residual_of(ops, waves, expected, ops.sqrt(expected), None))
    assert np.abs(residual).max() < 1e-5 * np.sqrt(ops.numpy(expected).max())


@pytest.mark.usefixtures('without_floor')
@MASKS
def test_adding_the_residual_puts_the_measured_modulus_in_place(
    ops: Ops, good: Values | None
) -> None:
    world = make_world(16)
    amplitudes = measured_amplitudes(world).astype(np.float32)
    waves = make_waves(ops, world)
    placed = None if good is None else ops.array(good.astype(np.float32))
    expected = expected_counts(ops, waves)
    residual = residual_of(ops, waves, expected, ops.array(amplitudes), placed)
    replaced = ops.numpy(expected_counts(ops, waves + ops.fft2(residual)))
    counts = amplitudes**2
    wanted = counts if good is None else np.where(BAD, ops.numpy(expected), counts)
    assert relative(replaced, wanted) < 1e-5


def test_dark_waves_stay_finite(ops: Ops) -> None:
    waves = ops.zeros((1, 2, 4, 4), 'complex64')
    amplitudes = np.ones((1, 4, 4), np.float32)
    expected = expected_counts(ops, waves)
    residual = residual_of(ops, waves, expected, ops.array(amplitudes), None)
    assert np.isfinite(ops.numpy(residual)).all()


@pytest.mark.parametrize(('dark', 'share'), [(1e-7, 0.0), (1e-4, 1.0)])
def test_photons_where_none_are_expected_wait_for_a_phase(
    ops: Ops, dark: float, share: float
) -> None:
    # What rounding leaves of a dark wave must not steer a photon, whatever the scale.
    for scale in (1, 1e3):
        waves = np.full((2, 1, 8, 8), dark * 1j, np.complex64)
        waves[:, :, 0, 0] = 1
        amplitudes = np.abs(waves[:, 0])
        amplitudes[:, 3, 5] = 0.1
        placed = ops.array(waves * np.float32(scale))
        measured = ops.array(amplitudes * np.float32(scale))
        expected = expected_counts(ops, placed)
        residual = residual_of(ops, placed, expected, measured, None)
        change = np.linalg.norm(ops.numpy(residual)[0])
        assert change == pytest.approx(share * 0.1 * scale, abs=0.002 * scale)


def test_bad_pixels_change_no_direction(ops: Ops) -> None:
    world = make_world(16)
    amplitudes = measured_amplitudes(world).astype(np.float32)
    spoilt = np.where(BAD, np.float32(1e3), amplitudes)
    good = (~BAD).astype(np.float32)
    first = directions(ops, world, amplitudes, good)
    second = directions(ops, world, spoilt, good)
    unmasked = directions(ops, world, spoilt, None)
    for part in ('canvas_object', 'probe'):
        image = ops.numpy(getattr(first, part))
        np.testing.assert_array_equal(image, ops.numpy(getattr(second, part)))
        assert relative(ops.numpy(getattr(unmasked, part)), image) > 1


def test_directions_agree_with_numpy(other_ops: Ops) -> None:
    world = make_world(modes=3)
    amplitudes = measured_amplitudes(world).astype(np.float32)
    found = directions(other_ops, world, amplitudes, None)
    wanted = directions(NumpyOps(), world, amplitudes, None)
    for part in ('canvas_object', 'probe', 'dose'):
        numbers = other_ops.numpy(getattr(found, part))
        assert relative(numbers, getattr(wanted, part)) < 1e-5


def test_dose_counts_the_photons_of_every_frame(ops: Ops) -> None:
    world = make_world(modes=2, frames=5, photons=1e4)
    amplitudes = measured_amplitudes(world).astype(np.float32)
    dose = ops.numpy(directions(ops, world, amplitudes, None).dose)
    assert dose.sum() == pytest.approx(5e4, rel=1e-5)
    wanted = np.zeros(world.canvas_object.shape)
    n = world.size
    for (row, column), probes in zip(world.corners, explicit_probes(world), strict=True):
        wanted[row : row + n, column : column + n] += np.sum(np.abs(probes) ** 2, axis=0)
    assert relative(dose, wanted) < 1e-5


@pytest.mark.usefixtures('without_floor')
def test_a_full_step_of_one_frame_projects_onto_its_modulus() -> None:
    # One frame, one mode: the preconditioned image undoes the probe wherever light falls.
    ops = NumpyOps()
    world = make_world(16, modes=1, frames=1).in_double()
    truth = dataclasses.replace(world, canvas_object=world.canvas_object * np.exp(0.1j))
    amplitudes = 1.2 * np.sqrt(explicit_counts(truth))
    image = directions(ops, world, amplitudes, None)
    step = preconditioned(ops, image.canvas_object, image.dose, np.float64(1e-9 * image.dose.max()))
    lit = image.dose > 1e-3 * image.dose.max()
    np.testing.assert_allclose(step[lit], 0.2 * world.canvas_object[lit], rtol=1e-4)


def test_the_floor_damps_where_hardly_any_light_falls() -> None:
    direction = np.array([[1e-6, 1.0]])
    dose = np.array([[1e-9, 1.0]])
    np.testing.assert_allclose(
        preconditioned(NumpyOps(), direction, dose, np.float64(0.02)),
        [[5e-5, 1 / 1.02]],
        rtol=1e-4,
    )
