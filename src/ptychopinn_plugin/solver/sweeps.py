"""The work on one batch of frames, as pure functions that a framework can compile."""

from __future__ import annotations

from typing import NamedTuple

from ptychopinn_plugin.physics.forward import (
    expected_counts,
    frame_waves,
    shift_ramps,
)
from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import (
    exit_residual,
    illumination,
    object_direction,
    unshifted_spectra,
)
from ptychopinn_plugin.solver.unknowns import Unknowns

# Keeps the score of a background finite where no photon is expected: one count, below which a
# pixel says nothing of it that its neighbours do not say better.
SCORE_FLOOR = 1.0
TINY = 1e-30


class DeviceBatch(NamedTuple):
    """A batch on the device; None for what is not used.

    Attributes:
        amplitudes: float32 (b, N, N), sqrt(counts), zero frequency at index 0.
        corners: int64 (b, 2), (row, column) of each patch's first pixel on the canvas.
        shifts_px: float32 (b, 2), the sub-pixel part of each position.
        probes: complex64 (b, modes, N, N), from `batch_probes`, over N, where they are kept.
        shift_weights: float32 (b, terms), see `physics.shifts`.
        shift_images: complex64 (terms, k, N, N), of the last k modes of the probe, over N; shared
            by all batches. The first mode is not among them where it varies along the scan.
        spectra: complex64 (modes - k, N, N), of the modes without shift images, and of the
            variation (functions, N, N) or None, from `mode_spectra`; shared by all batches.
        basis: float32 (b, functions), of the probe's variation along the scan.
        flux_trust: float32 (b,), 0 to 1: share of a frame's own photon ratio in its flux.
        flux: float32 (b,), relative photons of each frame, where they are known.
    """

    amplitudes: Array
    corners: Array
    shifts_px: Array
    probes: Array | None = None
    shift_weights: Array | None = None
    shift_images: Array | None = None
    spectra: tuple[Array, Array | None] | None = None
    basis: Array | None = None
    flux_trust: Array | None = None
    flux: Array | None = None


class Sums(NamedTuple):
    """Running sums of a sweep; None where one is not wanted.

    Attributes:
        misfit: float32 scalar.
        direction: complex64 (H, W).
        dose: float32 (H, W), over N^2.
        probe_spectrum: complex64 (modes, N, N), of the modes without shift images, times N^2.
        shift_sums: complex64 (terms, k, N, N), of the modes with shift images, times N.
        object_power: float32 (N, N).
        variation_spectrum: complex64 (functions, N, N), times N^2.
        background_score: float32 (3, N, N), sums over frames of the score of a background count
            at each pixel, of its square and of its information.
    """

    misfit: Array
    direction: Array
    dose: Array | None = None
    probe_spectrum: Array | None = None
    shift_sums: Array | None = None
    object_power: Array | None = None
    variation_spectrum: Array | None = None
    background_score: Array | None = None


class Prediction(NamedTuple):
    """What the unknowns predict for a batch.

    Attributes:
        probes: complex64 (b, modes, N, N), shifted to each frame, over N.
        patches: complex64 (b, N, N).
        waves: complex64 (b, modes, N, N), at the detector, without the flux.
        counts: float32 (b, N, N), with flux and background.
        flux: float32 (b, 1, 1), relative photons of each frame; None where all have as many.
        ratios: float32 (b,), measured over predicted photons of each frame; None without flux.
        ramps: complex64 (b, 1, N, N), which shifted the modes without shift images; None where
            all have some.
    """

    probes: Array
    patches: Array
    waves: Array
    counts: Array
    flux: Array | None
    ratios: Array | None
    ramps: Array | None


def mode_spectra(ops: Ops, probe: Array, variation: Array | None) -> tuple[Array, Array | None]:
    """Return the Fourier transforms of a probe (modes, N, N) and of its variation, over N^2."""
    factor = probe.shape[-1] ** -2.0
    spectra = ops.fft2(probe) * factor
    return spectra, None if variation is None else ops.fft2(variation) * factor


def batch_probes(
    ops: Ops, spectra: tuple[Array, Array | None], shifts_px: Array, basis: Array | None
) -> tuple[Array, Array]:
    """Return the probe of each frame over N, and the ramps that shift it.

    Args:
        ops: the framework.
        spectra: from `mode_spectra`.
        shifts_px: float32 (b, 2), (row, column).
        basis: float32 (b, functions); None without a variation.

    Returns:
        complex64 (b, modes, N, N) and (b, 1, N, N).
    """
    modes, variation = spectra
    modes = modes[None]
    if variation is not None:
        first = modes[:, :1] + ops.combine(basis, variation)[:, None]
        rest = modes[:, 1:]
        modes = first if rest.shape[1] == 0 else ops.join(first, rest)
    ramps = product_of_ramps(ops, shifts_px, modes.shape[-1])
    return ops.ifft2_unscaled(modes * ramps), ramps


def product_of_ramps(ops: Ops, shifts_px: Array, size: int) -> Array:
    """Return the factors that shift images of some side by (b, 2), complex64 (b, 1, N, N)."""
    rows, columns = shift_ramps(ops, shifts_px, size)
    return rows * columns


def batch_counts(ops: Ops, canvas_object: Array, corners: Array, probes: Array) -> Array:
    """Return the expected counts of a batch from its probes over N alone, (b, N, N)."""
    patches = ops.cut(canvas_object, corners, probes.shape[-1])
    return expected_counts(ops, frame_waves(ops, probes, patches))


def predict(ops: Ops, unknowns: Unknowns, batch: DeviceBatch, good: Array | None) -> Prediction:
    """Predict the counts of a batch.

    The flux of a frame is projected out in closed form: part of the ratio between its measured
    and predicted photons, as much as the spread of all frames' ratios exceeds their noise.

    Args:
        ops: the framework.
        unknowns: object, probe and the rest.
        batch: the frames.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
    """
    probes, ramps = frame_probes(ops, unknowns, batch)
    patches = ops.cut(unknowns.canvas_object, batch.corners, probes.shape[-1])
    waves = frame_waves(ops, probes, patches)
    counts = expected_counts(ops, waves)
    flux = ratios = None
    if batch.flux is not None:
        flux = batch.flux[:, None, None]
        counts = flux * counts
    elif batch.flux_trust is not None:
        ratios = _photon_ratios(ops, counts, batch.amplitudes, unknowns.background, good)
        flux = (1 + batch.flux_trust * (ratios - 1))[:, None, None]
        counts = flux * counts
    if unknowns.background is not None:
        counts = counts + unknowns.background
    return Prediction(probes, patches, waves, counts, flux, ratios, ramps)


def frame_probes(ops: Ops, unknowns: Unknowns, batch: DeviceBatch) -> tuple[Array, Array | None]:
    """Return the probe of each frame over N, (b, modes, N, N), and the ramps, see `Prediction`."""
    if batch.probes is not None:
        return batch.probes, None
    rest = None
    if batch.shift_images is not None:
        rest = ops.combine(batch.shift_weights, batch.shift_images)
        if batch.spectra is None:
            return rest, None
    spectra = batch.spectra
    if spectra is None:
        spectra = mode_spectra(ops, unknowns.probe, unknowns.variation)
    first, ramps = batch_probes(ops, spectra, batch.shifts_px, batch.basis)
    return first if rest is None else ops.join(first, rest), ramps


def batch_expected(ops: Ops, unknowns: Unknowns, batch: DeviceBatch, good: Array | None) -> Array:
    """Return the expected counts of a batch, float32 (b, N, N)."""
    return predict(ops, unknowns, batch, good).counts


def batch_misfit(
    ops: Ops, noise: NoiseModel, unknowns: Unknowns, batch: DeviceBatch, good: Array | None
) -> Array:
    """Return the misfit of a batch, a scalar."""
    counts = predict(ops, unknowns, batch, good).counts
    return noise.misfit(ops, counts, batch.amplitudes, good)


def add_dose(ops: Ops, dose: Array, corners: Array, probes: Array) -> Array:
    """Add the illumination of a batch, over N^2, to a canvas (H, W)."""
    return ops.add(dose, illumination(ops, probes), corners)


def add_batch(
    ops: Ops,
    noise: NoiseModel,
    sums: Sums,
    unknowns: Unknowns,
    batch: DeviceBatch,
    good: Array | None,
) -> tuple[Sums, Array | None]:
    """Add a batch to the sums of a sweep.

    Args:
        ops: the framework.
        noise: misfit and exit-wave step.
        sums: so far; its arrays may be changed in place.
        unknowns: where the sums are taken.
        batch: the frames.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.

    Returns:
        The sums, and measured over predicted photons of each frame, float32 (b,) or None.
    """
    found = predict(ops, unknowns, batch, good)
    misfit, factor = noise.misfit_and_factor(ops, found.counts, batch.amplitudes, good)
    # The factor of the waves is real: cheaper to scale than the residual that they give.
    residual = exit_residual(ops, found.waves, _with_flux(factor, found.flux))
    direction = object_direction(ops, found.probes, residual)
    sums = sums._replace(
        misfit=sums.misfit + misfit, direction=ops.add(sums.direction, direction, batch.corners)
    )
    if sums.dose is not None:
        light = _with_flux(illumination(ops, found.probes), found.flux)
        sums = sums._replace(dose=ops.add(sums.dose, light, batch.corners))
    if sums.object_power is not None:
        sums = _add_probe(ops, sums, found, residual, batch)
    if sums.background_score is not None:
        score = _background_score(ops, found.counts, batch.amplitudes)
        sums = sums._replace(background_score=sums.background_score + score)
    return sums, found.ratios


def add_sums(ops: Ops, first: Sums, second: Sums) -> Sums:
    """Return the sum of two sums of a sweep; the arrays of the first may be changed in place."""
    return Sums(*(_added(one, other) for one, other in zip(first, second, strict=True)))


def _added(first: Array | None, second: Array | None) -> Array | None:
    if first is not None:
        first += second
    return first


def _with_flux(images: Array, flux: Array | None) -> Array:
    """Return images times the relative photons of their frames."""
    return images if flux is None else images * flux


def _add_probe(
    ops: Ops, sums: Sums, found: Prediction, residual: Array, batch: DeviceBatch
) -> Sums:
    """Add a batch to the sums of the probe and of its variation."""
    if found.flux is None:
        power = ops.sum_abs2(found.patches)
    else:
        power = ops.sum(ops.abs2(found.patches) * found.flux, (0,))
    sums = sums._replace(object_power=sums.object_power + power)
    images = ops.conj_product(found.patches[:, None], residual)
    own = images
    if sums.shift_sums is not None:
        # As in `frame_probes`: the first mode has a transform of its own where it varies.
        first = 0 if sums.variation_spectrum is None else 1
        own, shared = images[:, :first], images[:, first:]
        rest = ops.combine(ops.transpose(batch.shift_weights), shared)
        sums = sums._replace(shift_sums=sums.shift_sums + rest)
    if sums.probe_spectrum is None:
        return sums
    ramps = found.ramps
    if ramps is None:
        ramps = product_of_ramps(ops, batch.shifts_px, own.shape[-1])
    spectra = unshifted_spectra(ops, own, ramps)
    sums = sums._replace(probe_spectrum=sums.probe_spectrum + ops.sum(spectra, (0,)))
    if sums.variation_spectrum is None:
        return sums
    change = ops.combine(ops.transpose(batch.basis), spectra[:, 0])
    return sums._replace(variation_spectrum=sums.variation_spectrum + change)


def _photon_ratios(
    ops: Ops, counts: Array, amplitudes: Array, background: Array | None, good: Array | None
) -> Array:
    """Return measured over predicted photons of each frame, background left out, (b,)."""
    measured = amplitudes * amplitudes
    if background is not None:
        measured = measured - background
    if good is not None:
        measured, counts = measured * good, counts * good
    return ops.sum(measured, (1, 2)) / (ops.sum(counts, (1, 2)) + TINY)


def _background_score(ops: Ops, counts: Array, amplitudes: Array) -> Array:
    """Return the sums over frames of score, squared score and information, float32 (3, N, N)."""
    information = 1 / (counts + SCORE_FLOOR)
    score = (amplitudes * amplitudes - counts) * information
    sums = [ops.sum(x, (0,))[None] for x in (score, score * score, information)]
    return ops.join(ops.join(sums[0], sums[1], axis=0), sums[2], axis=0)
