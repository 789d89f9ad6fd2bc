"""The functions of `solver.sweeps` by fused loops, a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.physics import fused_loops as loops
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, POISSON, NoiseModel
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.projection import unshifted_spectra
from ptychopinn_plugin.solver import sweeps
from ptychopinn_plugin.solver.fused.arrays import (
    Detector,
    Floats,
    are_single,
    detector,
    parts,
    pieces,
)
from ptychopinn_plugin.solver.sweeps import DeviceBatch, Sums
from ptychopinn_plugin.solver.unknowns import Unknowns

# One loop for each noise model that has one.
STEPS: dict[NoiseModel, Callable[..., np.float64]] = {
    POISSON: loops.poisson_step,
    AMPLITUDE: loops.amplitude_step,
}


class Waves(NamedTuple):
    """A few frames at the detector.

    Attributes:
        probes: complex64 (b, modes, N, N), shifted to each frame, over N.
        waves: complex64 (b, modes, N, N), without the flux.
        flux: float32 (b,), relative photons.
        ratios: float32 (b,), measured over predicted photons; None without flux.
        ramps: complex64 (b, 1, N, N), see `Prediction`.
    """

    probes: Array
    waves: Array
    flux: Floats
    ratios: Floats | None
    ramps: Array | None


def add_batch(
    ops: ProcessorOps,
    noise: NoiseModel,
    sums: Sums,
    unknowns: Unknowns,
    batch: DeviceBatch,
    good: Array | None,
) -> tuple[Sums, Array | None]:
    """Add a batch to the sums of a sweep, see `sweeps.add_batch`."""
    if noise not in STEPS or not are_single(unknowns, batch):
        return sweeps.add_batch(ops, noise, sums, unknowns, batch, good)
    seen, misfit = detector(unknowns, good), 0.0
    ratios: list[Floats] = []
    for _, frames in pieces(batch):
        found = predicted(ops, unknowns, frames, seen)
        if found.ratios is not None:
            ratios.append(found.ratios)
        misfit += _step(noise, found, frames, seen, sums.background_score)
        sums = _add_residual(ops, sums, unknowns, frames, found)
    sums = sums._replace(misfit=sums.misfit + np.float32(misfit))
    return sums, np.concatenate(ratios) if ratios else None


def batch_misfit(
    ops: ProcessorOps, noise: NoiseModel, unknowns: Unknowns, batch: DeviceBatch, good: Array | None
) -> Array:
    """Return the misfit of a batch, a scalar, see `sweeps.batch_misfit`."""
    if noise not in STEPS or not are_single(unknowns, batch):
        return sweeps.batch_misfit(ops, noise, unknowns, batch, good)
    seen, misfit = detector(unknowns, good), 0.0
    for _, frames in pieces(batch):
        misfit += _step(noise, predicted(ops, unknowns, frames, seen), frames, seen, None)
    return np.float32(misfit)


def predicted(ops: ProcessorOps, unknowns: Unknowns, frames: DeviceBatch, seen: Detector) -> Waves:
    """Return waves and flux of a few frames, see `sweeps.predict`."""
    probes, ramps = _shifted_probes(ops, unknowns, frames)
    waves = illuminated(ops, unknowns.canvas_object, frames, probes)
    flux = np.ones(len(probes), np.float32)
    if frames.flux is not None:
        return Waves(probes, waves, frames.flux, None, ramps)
    if frames.flux_trust is None:
        return Waves(probes, waves, flux, None, ramps)
    ratios = np.empty(len(probes), np.float32)
    loops.photon_ratios(parts(waves), frames.amplitudes, seen.background, seen.good, ratios)
    flux += frames.flux_trust * (ratios - 1)
    return Waves(probes, waves, flux, ratios, ramps)


def illuminated(
    ops: ProcessorOps, canvas_object: Array, frames: DeviceBatch, probes: Array
) -> Array:
    """Return the waves at the detector of probes over N on an object, (b, modes, N, N)."""
    waves = np.empty_like(probes)
    loops.exit_waves(parts(canvas_object), frames.corners, parts(probes), parts(waves))
    return ops.fft2_of_scratch(waves)


def _shifted_probes(
    ops: ProcessorOps, unknowns: Unknowns, frames: DeviceBatch
) -> tuple[Array, Array | None]:
    """Return the probe of each frame over N, (b, modes, N, N), and ramps as of a prediction."""
    images, weights = frames.shift_images, frames.shift_weights
    if frames.probes is not None or images is None or weights is None:
        probes, ramps = sweeps.frame_probes(ops, unknowns, frames)
        return np.ascontiguousarray(probes), ramps
    first, ramps = 0, None
    size = images.shape[-1]
    if frames.spectra is None:
        probes = np.empty((len(weights), images.shape[1], size, size), np.complex64)
    else:
        own, ramps = sweeps.batch_probes(ops, frames.spectra, frames.shifts_px, frames.basis)
        first = own.shape[1]
        probes = np.empty((len(weights), first + images.shape[1], size, size), np.complex64)
        probes[:, :first] = own
    loops.shifted_probes(weights, parts(images), first, parts(probes))
    return probes, ramps


def _step(
    noise: NoiseModel, found: Waves, frames: DeviceBatch, seen: Detector, score: Array | None
) -> float:
    """Change the waves as the counts ask for, in place; return the misfit."""
    if score is None:
        score = np.empty((0, *seen.good.shape), np.float32)
    return STEPS[noise](
        parts(found.waves), frames.amplitudes, found.flux, seen.background, seen.good, score
    )


def _add_residual(
    ops: ProcessorOps, sums: Sums, unknowns: Unknowns, frames: DeviceBatch, found: Waves
) -> Sums:
    """Add what the changed waves give for object and probe."""
    probes = parts(found.probes)
    residual = ops.ifft2_of_scratch(found.waves)
    loops.add_object(parts(sums.direction), frames.corners, probes, parts(residual))
    if sums.dose is not None:
        loops.add_dose(sums.dose, frames.corners, probes, found.flux)
    if sums.object_power is None:
        return sums
    canvas_object, power = parts(unknowns.canvas_object), sums.object_power
    loops.probe_images(canvas_object, frames.corners, found.flux, parts(residual), power)
    own = residual
    if sums.shift_sums is not None and frames.shift_weights is not None:
        first = residual.shape[1] - sums.shift_sums.shape[1]
        own = residual[:, :first]
        loops.add_shift_sums(frames.shift_weights, parts(residual), first, parts(sums.shift_sums))
    if sums.probe_spectrum is None:
        return sums
    return _add_spectra(ops, sums, np.ascontiguousarray(own), frames, found.ramps)


def _add_spectra(
    ops: ProcessorOps, sums: Sums, images: Array, frames: DeviceBatch, ramps: Array | None
) -> Sums:
    """Add gradient images of modes without shift images, and of the first one's variation."""
    if ramps is None:
        ramps = sweeps.product_of_ramps(ops, frames.shifts_px, images.shape[-1])
    spectra = unshifted_spectra(ops, images, ramps)
    sums = sums._replace(probe_spectrum=sums.probe_spectrum + ops.sum(spectra, (0,)))
    if sums.variation_spectrum is None:
        return sums
    change = ops.combine(ops.transpose(frames.basis), spectra[:, 0])
    return sums._replace(variation_spectrum=sums.variation_spectrum + change)
