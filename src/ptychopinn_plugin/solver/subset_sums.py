"""The sums of a sweep over a subset, empty and as gradient images."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.shifts import unshifted_sum
from ptychopinn_plugin.solver.parts.partition import Partition
from ptychopinn_plugin.solver.sweeps import Sums
from ptychopinn_plugin.solver.unknowns import Unknowns


@dataclass(frozen=True, eq=False)
class Sweep:
    """The sums of one sweep over a subset; None for what was not wanted.

    Attributes:
        misfit: of the noise model, over the subset's good pixels.
        direction: complex64 (H, W), gradient image of the object, not yet preconditioned.
        dose: float32 (H, W), summed |probe|^2.
        probe_direction: complex64 (modes, N, N), gradient image of the probe.
        object_power: float32 (N, N), |patch|^2 summed over frames.
        variation_direction: complex64 (functions, N, N), gradient image of the variation.
        background_score: float32 (3, N, N), see `Sums`.
        largest_dose: float32 scalar, over all processes; None where that of `dose` is it.
    """

    misfit: float
    direction: Array
    dose: Array
    probe_direction: Array | None = None
    object_power: Array | None = None
    variation_direction: Array | None = None
    background_score: Array | None = None
    largest_dose: Array | None = None


def empty_sums(
    ops: Ops,
    shape: tuple[int, int],
    unknowns: Unknowns,
    images: Array | None,
    *,
    with_dose: bool,
    with_probe: bool,
) -> Sums:
    """Return the sums before the first batch.

    Args:
        ops: the framework.
        shape: of the canvas, (H, W).
        unknowns: where the sums are taken.
        images: complex64 (terms, k, N, N), of the probe's last k modes; None without.
        with_dose: whether the dose is wanted.
        with_probe: whether the sums of the probe are wanted.
    """
    zeros, size = ops.zeros, unknowns.probe.shape[-1]
    variation = unknowns.variation if with_probe else None
    images = images if with_probe else None
    modes = unknowns.probe.shape[0] - (0 if images is None else images.shape[1])
    return Sums(
        misfit=zeros((), 'float32'),
        direction=zeros(shape, 'complex64'),
        dose=zeros(shape, 'float32') if with_dose else None,
        probe_spectrum=zeros((modes, size, size), 'complex64') if with_probe and modes else None,
        shift_sums=None if images is None else zeros(tuple(images.shape), 'complex64'),
        object_power=zeros((size, size), 'float32') if with_probe else None,
        variation_spectrum=None
        if variation is None
        else zeros(tuple(variation.shape), 'complex64'),
        background_score=(
            None if unknowns.background is None else zeros((3, size, size), 'float32')
        ),
    )


def gradient_images(
    ops: Ops, partition: Partition, sums: Sums, dose: Array, factors: Array | None
) -> Sweep:
    """Return the sums of all processes as gradient images.

    Args:
        ops: the framework.
        partition: of the scan among processes.
        sums: of this process, over all batches of the subset.
        dose: float32 (H, W), of all processes where their parts of the canvas overlap.
        factors: complex64 (terms, N, N), of the shift images; None without.
    """
    spectrum, varied, shifted = (
        partition.sum(one)
        for one in (sums.probe_spectrum, sums.variation_spectrum, sums.shift_sums)
    )
    direction = None if spectrum is None else _image(ops, spectrum)
    if shifted is not None:
        rest = ops.compiled(unshifted_sum)(shifted, factors) / shifted.shape[-1]
        direction = rest if direction is None else ops.join(direction, rest, axis=0)
    return Sweep(
        partition.total(ops.number(sums.misfit)),
        partition.add_overlaps(sums.direction),
        dose,
        direction,
        partition.sum(sums.object_power),
        None if varied is None else _image(ops, varied),
        partition.sum(sums.background_score),
        partition.largest(dose),
    )


def _image(ops: Ops, spectrum: Array) -> Array:
    """Return the gradient image of sums of spectra, which are times N^2."""
    return ops.ifft2(spectrum) * spectrum.shape[-1] ** -2.0
