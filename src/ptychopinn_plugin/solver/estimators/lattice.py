"""Functions with the period of a raster scan, which frames assign neither to object nor probe.

If all positions lie on a lattice, object / g and probe * g give the same frames for every g with
the period of the lattice. The solver would split an error with that period between object and
probe, and no number of passes would take it back; the object shows a grid of dots. Here the object
is made free of such functions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.estimators.raster import Raster
from ptychopinn_plugin.solver.unknowns import Unknowns

# Passes after which the object is freed: while the probe still changes much.
PASSES = 6
# Of the step, rms distance of the positions from the lattice: above it, the frames themselves can
# tell what belongs to the probe.
LARGEST_DISTANCE = 0.1
# Of all harmonics below the sampling limit those of longest period are kept: the work grows
# with them, and a probe has little power in the others.
MOST_HARMONICS = 400
# Of the weight's sum: keeps the harmonics apart on a small scan.
RIDGE = 1e-4
# |g| below which the object is not divided by it: there the fit determines nothing.
LEAST_MODULUS = 1e-3

Complex = npt.NDArray[np.complex64]
Floats = npt.NDArray[np.float64]


@dataclass(eq=False)
class LatticeGauge(Estimator):
    """Moves functions with the period of the scan from the object into the probe.

    Attributes:
        active: whether the positions lie on a lattice, when last looked at.
    """

    saved_fields: ClassVar = ('active', '_positions', '_dose')
    saved_images: ClassVar = ('_dose',)

    active: bool = False
    _positions: Floats | None = None
    _dose: npt.NDArray[np.float32] | None = None
    _harmonics: Harmonics | None = None

    def after_pass(self, solver: Solver) -> None:
        """Free the object of such functions after each of the first passes."""
        if solver.passes <= PASSES and self._look(solver):
            self._fix(solver, if_exact=False)

    def at_end(self, solver: Solver) -> None:
        """Free the object once more, unless the frames contradict it."""
        if self._look(solver):
            self._fix(solver, if_exact=True)

    def _look(self, solver: Solver) -> bool:
        """Find the lattice of the present positions."""
        problem, whole = solver.problem, solver.problem.partition.whole_canvas
        if self._positions is None or not np.array_equal(self._positions, problem.positions_px):
            self._positions, self._dose, self._harmonics = problem.positions_px, None, None
        elif self._harmonics is not None or not self.active:
            return self.active
        raster = Raster.of(problem.positions_px)
        self.active = raster is not None and raster.distance_px < LARGEST_DISTANCE * raster.step_px
        if raster is not None and self.active:
            origin = np.asarray(whole.origin_px, np.float64)
            corner = problem.positions_px[0] - origin - problem.scan.frame_size // 2
            self._harmonics = Harmonics.of(raster, whole.shape)
            self._harmonics.place_probe(corner, problem.scan.frame_size)
        return self.active

    def _fit(self, solver: Solver) -> Complex | None:
        """Return the coefficients of the function g, None if there are none."""
        harmonics = self._harmonics
        assert harmonics is not None
        ops, partition = solver.problem.ops, solver.problem.partition
        if partition.on_first(lambda: self._dose is None):
            # It stays the weight: the projection of the next object must be that of the last.
            light = partition.whole(solver.direction()[1])
            self._dose = None if light is None else ops.numpy(light).copy()
        image, dose = partition.whole(solver.canvas_object), self._dose
        return partition.on_first(
            lambda: None if dose is None else harmonics.fit(ops.numpy(image), dose)
        )

    def _fix(self, solver: Solver, *, if_exact: bool) -> None:
        """Divide the object by its function g with the scan's period, multiply the probe by it."""
        found, problem = self._fit(solver), solver.problem
        if found is None:
            return
        assert self._harmonics is not None
        ops, whole = problem.ops, problem.partition.whole_canvas
        top, left = np.subtract(problem.canvas.origin_px, whole.origin_px)
        factors = self._harmonics.factors(found, (int(top), int(left)), problem.canvas.shape)
        on_canvas, on_probe = (ops.array(image) for image in factors)

        def move(unknowns: Unknowns) -> Unknowns:
            return unknowns.times(on_canvas, on_probe)

        if if_exact:
            solver.transform_if_free(move)
        else:
            solver.transform(move)


@dataclass(eq=False)
class Harmonics:
    """Plane waves exp(2 pi i k r) with the period of a raster.

    Attributes:
        orders: int64 (count, 2), k = orders @ reciprocal basis.
        reciprocal: float64 (2, 2), cycles a pixel.
        shape: of the canvas.
        rows: complex64 (H, count), along the rows of the canvas.
        columns: complex64 (W, count), along its columns.
    """

    orders: npt.NDArray[np.int64]
    reciprocal: Floats
    shape: tuple[int, int]
    rows: Complex
    columns: Complex
    _weight: Complex | None = None
    _products: npt.NDArray[np.complex128] | None = None
    _on_probe: tuple[Complex, Complex] | None = None

    @classmethod
    def of(cls, raster: Raster, shape: tuple[int, int]) -> Harmonics:
        """Return the harmonics that a canvas can hold."""
        reciprocal = np.asarray(np.linalg.inv(raster.basis_px).T, np.float64)
        most = math.ceil(float(np.abs(raster.basis_px).sum())) + 1
        orders = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2), axis=-1).reshape(-1, 2)
        k = orders @ reciprocal
        inside = orders[(np.abs(k) < 0.5 - 1e-9).all(axis=1)]
        longest = np.argsort(np.linalg.norm(inside @ reciprocal, axis=1), kind='stable')
        kept = inside[longest[:MOST_HARMONICS]]
        return cls(kept, reciprocal, shape, *_waves(kept @ reciprocal, shape))

    def place_probe(self, corner_px: Floats, size: int) -> None:
        """Prepare the waves on a probe whose first pixel lies at a place of the canvas."""
        shape = (size, size)
        self._on_probe = _waves(self.orders @ self.reciprocal, shape, corner_px)

    def fit(self, canvas_object: Complex, dose: npt.NDArray[np.float32]) -> Complex | None:
        """Return the coefficients of the g that the object holds, None if there are none.

        g is the projection of the object on the harmonics, weighted by the dose, over the
        modulus of its mean.

        Args:
            canvas_object: complex64 (H, W).
            dose: float32 (H, W), the weight; the first one given is that of all later calls.

        Returns:
            complex64 (count,).
        """
        if self._weight is None or self._products is None:
            self._weight = (dose / dose.max()).astype(np.complex64)
            self._products = self._weighted_products(self._weight)
        wanted = _project(self.rows, self.columns, self._weight * canvas_object)
        coefficients = np.linalg.solve(self._products, wanted)
        mean = abs(coefficients[0])  # The first is the one of longest period: the mean.
        if not (np.isfinite(coefficients).all() and mean > 0):
            return None
        return np.asarray(coefficients / mean, np.complex64)

    def factors(
        self, coefficients: Complex, first: tuple[int, int], shape: tuple[int, int]
    ) -> tuple[Complex, Complex]:
        """Return the factors of object and probe that free the object.

        Args:
            coefficients: from `fit`.
            first: (row, column) of the canvas where the factor of the object starts.
            shape: (h, w) of that factor.

        Returns:
            1/g, complex64 (h, w), and g where the probe is, complex64 (N, N).
        """
        assert self._on_probe is not None
        (top, left), (height, width) = first, shape
        along, across = self.rows[top : top + height], self.columns[left : left + width]
        g = (along * coefficients) @ across.T
        g = np.where(np.abs(g) < LEAST_MODULUS, np.complex64(LEAST_MODULUS), g)
        rows, columns = self._on_probe
        on_probe = (rows * coefficients) @ columns.T
        return (1 / g).astype(np.complex64), on_probe.astype(np.complex64)

    def _weighted_products(self, weight: Complex) -> npt.NDArray[np.complex128]:
        """Return the weighted products of every two harmonics, (count, count)."""
        orders = self.orders[None] - self.orders[:, None]
        different, where = np.unique(orders.reshape(-1, 2), axis=0, return_inverse=True)
        rows, columns = _waves(different @ self.reciprocal, self.shape)
        products = _project(rows.conj(), columns.conj(), weight)[where.ravel()]
        count = len(self.orders)
        ridge = RIDGE * float(weight.real.sum()) * np.eye(count)
        return np.asarray(products.reshape(count, count) + ridge)


def _waves(
    k: npt.NDArray[np.floating], shape: tuple[int, int], corner_px: Floats | None = None
) -> tuple[Complex, Complex]:
    """Return exp(2 pi i k r) along rows (H, count) and columns (W, count)."""
    corner = np.zeros(2) if corner_px is None else corner_px
    rows, columns = (
        np.exp(2j * np.pi * np.outer(np.arange(side) + corner[axis], k[:, axis]))
        for axis, side in enumerate(shape)
    )
    return rows.astype(np.complex64), columns.astype(np.complex64)


def _project(rows: Complex, columns: Complex, image: Complex) -> npt.NDArray[np.complex128]:
    """Return sum_r conj(wave(r)) image(r) of each wave, complex128 (count,)."""
    along = rows.conj().T @ image.astype(np.complex64)
    return np.asarray(np.sum(along * columns.conj().T, axis=1, dtype=np.complex128))
