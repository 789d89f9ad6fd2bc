"""How the modulus at the detector changes with the positions, as functions of one batch.

The residual of n counts where E are expected is (n - E) / 2 sqrt(E), whose variance is 1/4 at any
dose, and a column is the derivative of sqrt(E) along one unknown: their product is half the score
of the Poisson likelihood, without the bias that sqrt(n) - sqrt(E) has at few counts. Of a change
that all frames have in common, such as a scale, the residual is that of the solver's noise model:
expected counts that were fitted to amplitudes have their bias, which looks like it. A frame that
moves by s over the object sees the object's gradient: the exit wave changes by
probe * (s . gradient), up to a phase of the wave at the detector.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.physics.forward import frame_waves, over_modes
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.sweeps import DeviceBatch, Prediction, predict
from ptychopinn_plugin.solver.unknowns import Unknowns

# Counts added to E in the divisors: one photon where hardly any is expected weighs no more than a
# few do elsewhere. Of 0.05 and 0.5 the smaller told faulty positions apart more clearly.
COUNT_FLOOR = 0.05
# Share of the probe's power in the modes that columns are made of. The rest says little of the
# positions: modes that were added at 0.5 % and grow to 3 % until they are dropped, say.
STRONG_SHARE = 0.9
# Columns of an affine change, those that are only kept out of the way among them.
COLUMNS = 11


class FrameSums(NamedTuple):
    """Sums over the detector pixels of each frame, float32 (b,).

    Attributes:
        score_row: of column times residual, for a move along the rows.
        score_column: for a move along the columns.
        information_row: of the squared column.
        information_column: of the squared column.
        information_mixed: of the product of the two columns.
        spread: of both squared columns times the squared residual.
        misfit: of the squared residual.
        noise: of what the squared residual is on average if the model is right.
    """

    score_row: Array
    score_column: Array
    information_row: Array
    information_column: Array
    information_mixed: Array
    spread: Array
    misfit: Array
    noise: Array


class AffineSums(NamedTuple):
    """Sums over frames and pixels of the columns of an affine change, float32 scalars.

    Attributes:
        score: of each column times the residual.
        spread: of each squared column times the squared residual.
        products: of two columns each: of the first one with itself and those after it, of the
            second one with itself and those after it, and so on.
    """

    score: tuple[Array, ...]
    spread: tuple[Array, ...]
    products: tuple[Array, ...]


class Geometry(NamedTuple):
    """Coordinates for the columns of an affine change.

    Attributes:
        rows: float32 (N, 1), object pixels from the probe's centre of light.
        columns: float32 (1, N).
        phases: complex64 (3, N, N), i times fy^2, fx^2 and fy fx, cycles a pixel.
        falloff: float32 (N, N), fy^2 + fx^2.
    """

    rows: Array
    columns: Array
    phases: Array
    falloff: Array


class _View(NamedTuple):
    """A batch as predicted, ready for columns.

    Attributes:
        found: the prediction, of all modes.
        probes: complex64 (b, modes, N, N), over N, the modes that columns are made of.
        conjugate: complex64 (b, modes, N, N), of their waves.
        weight: float32 (b, N, N), flux / sqrt(E), 0 at bad pixels.
        root: float32 (b, N, N), sqrt(E) with the floor.
        residual: float32 (b, N, N), 0 at bad pixels.
    """

    found: Prediction
    probes: Array
    conjugate: Array
    weight: Array
    root: Array
    residual: Array


def object_slopes(ops: Ops, canvas_object: Array) -> tuple[Array, Array]:
    """Return the central differences of an object along rows and columns, complex64 (H, W)."""
    first, second = (
        ops.roll(canvas_object, before) - ops.roll(canvas_object, behind)
        for before, behind in (((-1, 0), (1, 0)), ((0, -1), (0, 1)))
    )
    return first * 0.5, second * 0.5


def frame_sums(
    ops: Ops,
    unknowns: Unknowns,
    slopes: tuple[Array, Array],
    batch: DeviceBatch,
    good: Array | None,
    modes: int | None = None,
) -> FrameSums:
    """Return the score and information of the position of each frame of a batch.

    Args:
        ops: the framework.
        unknowns: object, probe and the rest.
        slopes: from `object_slopes`.
        batch: the frames.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
        modes: from `strong_modes`; None for all.
    """
    view = _view(ops, unknowns, batch, good, modes)
    row, column = (_column(ops, view, patches) for patches in _patches(ops, slopes, batch))
    noise = 0.25 * view.found.counts / (view.root * view.root)
    if good is not None:
        noise = noise * good
    residual, inner = view.residual, ops.inner_each
    scored_row, scored_column = row * residual, column * residual
    return FrameSums(
        score_row=inner(row, residual),
        score_column=inner(column, residual),
        information_row=inner(row, row),
        information_column=inner(column, column),
        information_mixed=inner(row, column),
        spread=inner(scored_row, scored_row) + inner(scored_column, scored_column),
        misfit=inner(residual, residual),
        noise=ops.sum(noise, (1, 2)),
    )


def affine_columns(
    ops: Ops,
    unknowns: Unknowns,
    slopes: tuple[Array, Array],
    batch: DeviceBatch,
    good: Array | None,
    geometry: Geometry,
    noise: NoiseModel,
    modes: int | None = None,
) -> tuple[tuple[Array, ...], Array]:
    """Return the columns of an affine change of all positions that the object follows.

    Inside a frame, the object is then scaled, turned and sheared about the frame's position. The
    columns of what may look alike stand beside them, so that they are not taken for it: a common
    shift, a quadratic phase in the probe's Fourier transform, a gain and its fall-off.

    Args:
        ops: the framework.
        unknowns: object, probe and the rest.
        slopes: from `object_slopes`.
        batch: the frames.
        good: float32 (N, N) or None.
        geometry: coordinates.
        noise: that object and probe were fitted with.
        modes: from `strong_modes`; None for all.

    Returns:
        Eleven of float32 (b, N, N): scale, rotation, aspect, shear and the others; the residual,
        float32 (b, N, N).
    """
    view = _view(ops, unknowns, batch, good, modes)
    row, column = _patches(ops, slopes, batch)
    y = geometry.rows - batch.shifts_px[:, 0][:, None, None]
    x = geometry.columns - batch.shifts_px[:, 1][:, None, None]
    yy, xx, yx, xy = (
        _column(ops, view, ops.scale(patches, place))
        for patches, place in ((row, y), (column, x), (row, x), (column, y))
    )
    images = [-yy - xx, xy - yx, xx - yy, -yx - xy]
    images += [_column(ops, view, patches) for patches in (row, column)]
    spectra = ops.fft2(view.probes)
    for index in range(3):
        probes = ops.ifft2(spectra * geometry.phases[index])
        images.append(_column(ops, view, view.found.patches, probes))
    root = view.root if good is None else view.root * good
    images += [root, root * geometry.falloff]
    return tuple(images), _residual(ops, view, batch, good, noise)


def affine_sums(
    ops: Ops,
    unknowns: Unknowns,
    slopes: tuple[Array, Array],
    batch: DeviceBatch,
    good: Array | None,
    geometry: Geometry,
    noise: NoiseModel,
    modes: int | None = None,
) -> AffineSums:
    """Return the sums of the columns of an affine change; arguments as of `affine_columns`."""
    columns, residual = affine_columns(ops, unknowns, slopes, batch, good, geometry, noise, modes)
    squares = residual * residual
    return AffineSums(
        tuple(ops.inner(column, residual) for column in columns),
        tuple(ops.inner(column * column, squares) for column in columns),
        tuple(
            ops.inner(column, other)
            for index, column in enumerate(columns)
            for other in columns[index:]
        ),
    )


def _residual(
    ops: Ops, view: _View, batch: DeviceBatch, good: Array | None, noise: NoiseModel
) -> Array:
    """Return the change of the modulus that a noise model asks for, float32 (b, N, N)."""
    if noise.name != AMPLITUDE.name:
        return view.residual
    residual = batch.amplitudes - ops.sqrt(view.found.counts)
    return residual if good is None else residual * good


def strong_modes(ops: Ops, probe: Array) -> int:
    """Return how many of the first modes of a probe hold most of its power.

    Args:
        ops: the framework.
        probe: complex64 (modes, N, N).
    """
    power = np.sum(np.abs(ops.numpy(probe)) ** 2, axis=(1, 2), dtype=np.float64)
    held = np.cumsum(power)
    return min(int(np.searchsorted(held, STRONG_SHARE * held[-1])) + 1, len(held))


def _view(
    ops: Ops, unknowns: Unknowns, batch: DeviceBatch, good: Array | None, modes: int | None
) -> _View:
    """Predict a batch and take its residual."""
    found = predict(ops, unknowns, batch, good)
    root = ops.sqrt(found.counts + COUNT_FLOOR)
    weight = 1 / root
    residual = (batch.amplitudes * batch.amplitudes - found.counts) * (0.5 * weight)
    if found.flux is not None:
        weight = weight * found.flux
    if good is not None:
        weight, residual = weight * good, residual * good
    probes, waves = found.probes[:, :modes], found.waves[:, :modes]
    return _View(found, probes, ops.conj(waves), weight, root, residual)


def _patches(ops: Ops, slopes: tuple[Array, Array], batch: DeviceBatch) -> tuple[Array, Array]:
    """Return the gradient of the object under each frame, two of complex64 (b, N, N)."""
    size = batch.amplitudes.shape[-1]
    row, column = (ops.cut(slope, batch.corners, size) for slope in slopes)
    return row, column


def _column(ops: Ops, view: _View, patches: Array, probes: Array | None = None) -> Array:
    """Return the derivative of sqrt(E) where the exit waves change by probe * patch, (b, N, N)."""
    waves = frame_waves(ops, view.probes if probes is None else probes, patches)
    return over_modes(ops, ops.real(view.conjugate * waves)) * view.weight
