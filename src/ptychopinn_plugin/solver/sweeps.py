"""The work on one batch of frames, as pure functions that a framework can compile."""

from __future__ import annotations

from typing import NamedTuple

from ptychopinn_plugin.physics.forward import (
    expected_counts,
    propagate,
    shift_ramps,
    shifted_probes,
)
from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import (
    exit_residual,
    illumination,
    object_direction,
    probe_direction,
)


class DeviceBatch(NamedTuple):
    """A batch on the device.

    Attributes:
        amplitudes: float32 (b, N, N), sqrt(counts), zero frequency at index 0.
        corners: int64 (b, 2), (row, column) of each patch's first pixel on the canvas.
        shifts_px: float32 (b, 2), the sub-pixel part of each position.
        probes: complex64 (b, modes, N, N), from `batch_probes`, where they are kept; else None.
    """

    amplitudes: Array
    corners: Array
    shifts_px: Array
    probes: Array | None = None


class Sums(NamedTuple):
    """Running sums of a sweep; None where one is not wanted.

    Attributes:
        misfit: float32 scalar.
        direction: complex64 (H, W).
        dose: float32 (H, W).
        probe_spectrum: complex64 (modes, N, N).
        object_power: float32 (N, N).
    """

    misfit: Array
    direction: Array
    dose: Array | None = None
    probe_spectrum: Array | None = None
    object_power: Array | None = None


def batch_probes(ops: Ops, probe: Array, shifts_px: Array) -> Array:
    """Return the probe shifted to each frame, complex64 (b, modes, N, N)."""
    return shifted_probes(ops, probe, shift_ramps(ops, shifts_px, probe.shape[-1]))


def batch_counts(ops: Ops, canvas_object: Array, corners: Array, probes: Array) -> Array:
    """Return the expected counts of a batch, (b, N, N)."""
    patches = ops.cut(canvas_object, corners, probes.shape[-1])
    return expected_counts(ops, propagate(ops, probes, patches))


def batch_misfit(
    ops: Ops,
    noise: NoiseModel,
    canvas_object: Array,
    probe: Array,
    batch: DeviceBatch,
    good: Array | None,
) -> Array:
    """Return the misfit of a batch, a scalar."""
    probes = _kept_or_shifted(ops, probe, batch)
    expected = batch_counts(ops, canvas_object, batch.corners, probes)
    return noise.misfit(ops, expected, batch.amplitudes, good)


def add_dose(ops: Ops, dose: Array, corners: Array, probes: Array) -> Array:
    """Add the illumination of a batch to a canvas (H, W)."""
    return ops.add(dose, illumination(ops, probes), corners)


def add_batch(
    ops: Ops,
    noise: NoiseModel,
    sums: Sums,
    canvas_object: Array,
    probe: Array,
    batch: DeviceBatch,
    good: Array | None,
) -> Sums:
    """Add a batch to the sums of a sweep.

    Args:
        ops: the framework.
        noise: misfit and exit-wave step.
        sums: so far; its arrays may be changed in place.
        canvas_object: complex64 (H, W).
        probe: complex64 (modes, N, N).
        batch: the frames.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
    """
    probes = _kept_or_shifted(ops, probe, batch)
    patches = ops.cut(canvas_object, batch.corners, probes.shape[-1])
    waves = propagate(ops, probes, patches)
    expected = expected_counts(ops, waves)
    misfit = sums.misfit + noise.misfit(ops, expected, batch.amplitudes, good)
    residual = exit_residual(ops, noise, waves, expected, batch.amplitudes, good)
    direction = ops.add(sums.direction, object_direction(ops, probes, residual), batch.corners)
    dose, spectrum, power = sums.dose, sums.probe_spectrum, sums.object_power
    if dose is not None:
        dose = add_dose(ops, dose, batch.corners, probes)
    if spectrum is not None:
        ramps = shift_ramps(ops, batch.shifts_px, probes.shape[-1])
        spectrum = spectrum + probe_direction(ops, patches, residual, ramps)
        power = power + ops.sum(ops.abs2(patches), (0,))
    return Sums(misfit, direction, dose, spectrum, power)


def _kept_or_shifted(ops: Ops, probe: Array, batch: DeviceBatch) -> Array:
    """Return the probe shifted to each frame of a batch, complex64 (b, modes, N, N)."""
    return batch_probes(ops, probe, batch.shifts_px) if batch.probes is None else batch.probes
