"""The prior of the object damps what the photons do not determine, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.estimators.object_prior import (
    BINS,
    FIRST_PASS,
    LEAST_DOSE,
    ObjectPrior,
    transformed_shape,
)
from ptychopinn_plugin.solver.parts.partition import WholeScan
from ptychopinn_plugin.solver.updates import DOSE_FLOOR
from tests.helpers import make_object
from tests.solver.scans import Values

SHAPE = (96, 80)
WHOLE = WholeScan(Canvas((0, 0), SHAPE))


def noise_of(variance: float) -> Values:
    rng = np.random.default_rng(0)
    values = rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)
    return np.asarray((np.sqrt(variance / 2) * values).astype(np.complex64))


def applied(ops: Ops, image: Values, dose: float, step: float, passes: int = FIRST_PASS) -> Values:
    """Estimate the prior from an image under constant light, and apply it to the same image."""
    prior = ObjectPrior()
    placed, light = ops.array(image), ops.array(np.full(SHAPE, dose, np.float32))
    for _ in range(passes):
        prior.estimate(ops, WHOLE, placed, light)
    return ops.numpy(prior.apply(ops, WHOLE, placed, step))


def test_many_photons_need_no_prior(ops: Ops) -> None:
    image = make_object(SHAPE)
    bright, dim = (np.abs(applied(ops, image, dose, 0.5) - image).max() for dose in (1e8, 10.0))
    assert bright < 1e-4
    assert dim > 0.01


@pytest.mark.parametrize('step', [0.5, 1.0])
def test_noise_of_a_flat_object_is_damped_by_the_spectrum(ops: Ops, step: float) -> None:
    dose = 25.0
    image = 1 + noise_of(1 / dose)
    found = applied(ops, image, dose, step)
    # What was observed, 1 / dose, and half of it still unknown: 1.5 / dose.
    wanted = 1 / (1 + step / (2 * 1.5))
    assert found.std() / image.std() == pytest.approx(wanted, rel=0.01)


def test_the_mean_stays(ops: Ops) -> None:
    image = make_object(SHAPE) + noise_of(0.1)
    found = applied(ops, image, 10.0, 1.0)
    assert np.abs(found - image).max() > 0.05
    assert found.mean() == pytest.approx(image.mean(), abs=1e-5)


def test_the_first_passes_are_left_alone(ops: Ops) -> None:
    image = 1 + noise_of(0.1)
    for passes in range(FIRST_PASS):
        np.testing.assert_array_equal(applied(ops, image, 10.0, 1.0, passes), image)
    assert np.abs(applied(ops, image, 10.0, 1.0, FIRST_PASS) - image).max() > 0.01


def test_the_first_spectrum_is_that_of_the_definition(ops: Ops) -> None:
    # Sides of large prime factors, which are transformed with zeros beside them.
    image = (make_object(SHAPE) + noise_of(0.1))[:83, :79]
    assert transformed_shape(image.shape) != image.shape
    y, x = (np.linspace(-1, 1, side) for side in image.shape)
    light = (1e3 * np.exp(-2 * (y[:, None] ** 2 + x**2))).astype(np.float32)
    prior = ObjectPrior()
    prior.estimate_at_once()
    prior.estimate(ops, WHOLE, ops.array(image), ops.array(light))
    photons = light.astype(np.float64)
    dose = np.sum(photons**2) / photons.sum()
    window = np.minimum(photons / dose, 1) * (photons > LEAST_DOSE * dose)
    mean = np.sum(image * window) / window.sum()
    shape = transformed_shape(image.shape)
    power = np.abs(np.fft.fft2((image - mean) * window, shape)) ** 2 / np.sum(window**2)
    rows, columns = (np.fft.fftfreq(side) for side in shape)
    bins = np.rint(2 * BINS * np.hypot(rows[:, None], columns)).astype(int)
    observed = np.array([power[bins == one].mean() for one in range(bins.max() + 1)])
    before = np.maximum(observed, 1 / dose)
    wanted = observed + before / dose / (before + 1 / dose)
    assert prior.spectrum is not None
    np.testing.assert_allclose(prior.spectrum, wanted, rtol=1e-4)
    np.testing.assert_allclose(prior.mean, mean, rtol=1e-5)
    assert prior.dose == pytest.approx(dose, rel=1e-5)


def test_an_illuminated_part_of_another_mean_stays(ops: Ops) -> None:
    image = np.ones(SHAPE, np.complex64)
    image[24:72, 20:60] = 0.6 * make_object((48, 40))
    light = np.zeros(SHAPE, np.float32)
    light[24:72, 20:60] = 1e6
    prior = ObjectPrior()
    for _ in range(FIRST_PASS):
        prior.estimate(ops, WHOLE, ops.array(image), ops.array(light))
    found = ops.numpy(prior.apply(ops, WHOLE, ops.array(image), 0.5))
    assert abs(found.mean() - image.mean()) < 1e-4


def test_a_local_prior_damps_each_pixel_by_its_own_dose(ops: Ops) -> None:
    light = np.full(SHAPE, 400.0, np.float32)
    light[:, 40:] = 20.0
    image = 1 + noise_of(1 / 400)
    dose = ops.array(light)
    prior = LocalPrior.for_dose(ops, dose, estimates_at_once=True)
    prior.estimate(ops, WHOLE, ops.array(image), dose)
    assert prior.spectrum is not None
    found = ops.numpy(prior.apply(ops, WHOLE, ops.array(image), 1.0))
    # Noise of all frequencies alike: its spectrum is flat, up to the window of the estimate.
    power = float(np.median(prior.spectrum))
    for columns, photons in ((slice(4, 30), 400.0), (slice(50, 76), 20.0)):
        kept = np.std(found[:, columns]) / np.std(image[:, columns])
        raised = photons + DOSE_FLOOR * 400
        assert kept == pytest.approx(1 / (1 + 1 / (2 * power * raised)), rel=0.15)


def test_a_local_prior_is_the_other_one_under_constant_light(ops: Ops) -> None:
    image = make_object(SHAPE) + noise_of(0.1)
    dose = ops.array(np.full(SHAPE, 10.0, np.float32))
    prior = LocalPrior.for_dose(ops, dose, estimates_at_once=True)
    prior.estimate(ops, WHOLE, ops.array(image), dose)
    found = ops.numpy(prior.apply(ops, WHOLE, ops.array(image), 0.5))
    wanted = applied(ops, image, 10.0, 0.5)
    # It takes the dose of a step, which is raised by a fiftieth.
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted - image).max()


@pytest.mark.parametrize('updates', [1, 2, 3, 8])
def test_no_step_is_left_after_a_pass(updates: int) -> None:
    steps = [ObjectPrior().steps_after(index, updates) for index in range(updates)]
    assert sum(steps) == updates
    assert steps[-1] > 0
    assert 2 * sum(one > 0 for one in steps) <= updates + 1
    assert [LocalPrior().steps_after(index, updates) for index in range(updates)] == [1] * updates
