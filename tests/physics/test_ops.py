"""Every framework's array functions keep the laws and agree with NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from ptychopinn_plugin.physics.noise_models import poisson_deviance
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops, fourier_frequencies
from tests.helpers import make_object
from tests.physics.world import Values, dft_matrix, make_counts, make_world, relative


def complex_numbers(*shape: int, seed: int = 0) -> Values:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def inner(first: Values, second: Values) -> complex:
    return complex(np.vdot(first.astype(np.complex128), second.astype(np.complex128)))


@pytest.fixture
def corners() -> Values:
    """Patches of 8 on a canvas of (19, 23): overlapping, repeated, at all four edges."""
    return np.array([[0, 0], [11, 15], [0, 15], [11, 0], [3, 4], [3, 5], [3, 4], [5, 9]])


def test_fourier_transform_is_the_unitary_matrix(ops: Ops) -> None:
    images = complex_numbers(3, 2, 12, 12)
    dft = dft_matrix(12)
    spectra = ops.fft2(ops.array(images))
    assert relative(ops.numpy(spectra), dft @ images @ dft.T) < 1e-5
    assert relative(ops.numpy(ops.ifft2(spectra)), images) < 1e-5


def test_unscaled_transforms_are_adjoint_and_n_times_the_unitary_ones(ops: Ops) -> None:
    images = complex_numbers(2, 12, 12)
    for unscaled, unitary in ((ops.fft2_unscaled, ops.fft2), (ops.ifft2_unscaled, ops.ifft2)):
        found, wanted = (ops.numpy(one(ops.array(images))) for one in (unscaled, unitary))
        assert relative(found, 12 * wanted) < 1e-5


def test_inverse_transform_is_the_adjoint(ops: Ops) -> None:
    x, y = complex_numbers(2, 12, 12), complex_numbers(2, 12, 12, seed=1)
    forward = inner(ops.numpy(ops.fft2(ops.array(x))), y)
    backward = inner(x, ops.numpy(ops.ifft2(ops.array(y))))
    assert forward == pytest.approx(backward, rel=1e-4)


def test_frequencies_are_those_of_the_transform(ops: Ops) -> None:
    size = 10
    for index, frequency in enumerate(fourier_frequencies(size)):
        tone = np.exp(2j * np.pi * frequency * np.arange(size)).astype(np.complex64)
        image = np.broadcast_to(tone[:, None], (size, size)).copy()
        spectrum = np.abs(ops.numpy(ops.fft2(ops.array(image))))
        assert np.unravel_index(spectrum.argmax(), spectrum.shape) == (index, 0)


def test_cut_takes_the_patches_at_their_corners(ops: Ops, corners: Values) -> None:
    canvas = make_object((19, 23))
    patches = ops.numpy(ops.cut(ops.array(canvas), ops.array(corners), 8))
    wanted = np.stack([canvas[r : r + 8, c : c + 8] for r, c in corners])
    np.testing.assert_array_equal(patches, wanted)


@pytest.mark.parametrize('dtype', ['float32', 'complex64'])
def test_add_is_the_adjoint_of_cut(ops: Ops, corners: Values, dtype: str) -> None:
    canvas: Values = complex_numbers(19, 23)
    patches: Values = complex_numbers(len(corners), 8, 8, seed=1)
    if dtype == 'float32':
        canvas, patches = canvas.real.copy(), patches.real.copy()
    placed = ops.array(corners)
    empty = ops.zeros((19, 23), 'float32' if dtype == 'float32' else 'complex64')
    added = ops.numpy(ops.add(empty, ops.array(patches), placed))
    assert added.dtype == np.dtype(dtype)
    cut = ops.numpy(ops.cut(ops.array(canvas), placed, 8))
    assert inner(cut, patches) == pytest.approx(inner(canvas, added), rel=1e-4)


def test_cut_then_add_then_divide_by_the_counts_is_the_object(ops: Ops, corners: Values) -> None:
    canvas = make_object((19, 23))
    placed = ops.array(corners)
    patches = ops.cut(ops.array(canvas), placed, 8)
    merged = ops.numpy(ops.add(ops.zeros((19, 23), 'complex64'), patches, placed))
    ones = np.ones((len(corners), 8, 8), np.float32)
    counts = ops.numpy(ops.add(ops.zeros((19, 23), 'float32'), ops.array(ones), placed))
    assert counts.max() >= 3
    seen = counts > 0
    np.testing.assert_allclose(merged[seen] / counts[seen], canvas[seen], rtol=1e-5)
    assert not merged[~seen].any()


def test_add_adds_to_what_is_there(ops: Ops, corners: Values) -> None:
    canvas = complex_numbers(19, 23)
    patches = complex_numbers(len(corners), 8, 8, seed=1)
    placed = ops.array(corners)
    alone = ops.numpy(ops.add(ops.zeros((19, 23), 'complex64'), ops.array(patches), placed))
    both = ops.numpy(ops.add(ops.array(canvas.copy()), ops.array(patches), placed))
    assert relative(both, canvas + alone) < 1e-6


ELEMENTWISE: dict[str, Callable[[Ops, Array], Array]] = {
    'abs2': lambda ops, x: ops.abs2(x),
    'conj': lambda ops, x: ops.conj(x),
    'real': lambda ops, x: ops.real(x),
    'imag': lambda ops, x: ops.imag(x),
    'complex': lambda ops, x: ops.complex(ops.imag(x), ops.real(x)),
    'conj_product': lambda ops, x: ops.conj_product(x, x * x),
    'scale': lambda ops, x: ops.scale(x, ops.imag(x)),
    'scale_in_place': lambda ops, x: ops.scale_in_place(x * 1, ops.imag(x)),
    'sqrt': lambda ops, x: ops.sqrt(ops.abs2(x)),
    'log': lambda ops, x: ops.log(ops.abs2(x)),
    'polar': lambda ops, x: ops.polar(ops.real(x)),
    'sum over axes': lambda ops, x: ops.sum(x, (0, 2)),
    'sum over last axes': lambda ops, x: ops.sum(x, (1, 2)),
    'sum over all': lambda ops, x: ops.sum(x),
    'sum_abs2': lambda ops, x: ops.sum_abs2(x),
    'inner': lambda ops, x: ops.inner(ops.real(x), ops.imag(x)),
    'inner_each': lambda ops, x: ops.inner_each(ops.real(x), ops.imag(x)),
    'mean': lambda ops, x: ops.mean(x),
    'max': lambda ops, x: ops.max(ops.real(x)),
}
FORMULAS: dict[str, Callable[[Values], Values]] = {
    'abs2': lambda x: np.abs(x) ** 2,
    'conj': lambda x: x.real - 1j * x.imag,
    'real': lambda x: (x + x.conj()).real / 2,
    'imag': lambda x: ((x - x.conj()) / 2j).real,
    'complex': lambda x: x.imag + 1j * x.real,
    'conj_product': lambda x: np.abs(x) ** 2 * x,
    'scale': lambda x: x * x.imag,
    'scale_in_place': lambda x: x * x.imag,
    'sqrt': lambda x: np.abs(x),
    'log': lambda x: 2 * np.log(np.abs(x)),
    'polar': lambda x: np.exp(1j * x.real),
    'sum over axes': lambda x: np.einsum('abc->b', x),
    'sum over last axes': lambda x: np.einsum('abc->a', x),
    'sum over all': lambda x: np.einsum('abc->', x),
    'sum_abs2': lambda x: np.einsum('abc,abc->bc', x, x.conj()).real,
    'inner': lambda x: np.einsum('abc,abc->', x.real, x.imag),
    'inner_each': lambda x: np.einsum('abc,abc->a', x.real, x.imag),
    'mean': lambda x: np.einsum('abc->', x) / x.size,
    'max': lambda x: np.sort(x.real.ravel())[-1],
}


@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('name', ELEMENTWISE)
def test_array_functions_are_their_formulas(ops: Ops, name: str, compiled: bool) -> None:
    x = complex_numbers(3, 4, 5)
    function = ELEMENTWISE[name]
    call = ops.compiled(function) if compiled else partial(function, ops)
    found = ops.numpy(call(ops.array(x)))
    wanted = np.asarray(FORMULAS[name](x.astype(np.complex128)))
    assert found.dtype == (np.complex64 if np.iscomplexobj(wanted) else np.float32)
    assert relative(found, wanted) < 1e-5


def real_numbers(*shape: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_combine_sums_images_with_real_weights(ops: Ops) -> None:
    weights, images = real_numbers(5, 3), complex_numbers(3, 4, 6)
    found = ops.numpy(ops.combine(ops.array(weights), ops.array(images)))
    assert found.dtype == np.complex64
    assert relative(found, np.einsum('bk,khw->bhw', weights, images)) < 1e-6


def test_join_shares_a_first_axis_of_one(ops: Ops) -> None:
    many, one = complex_numbers(4, 2, 3), complex_numbers(1, 5, 3, seed=1)
    shared = np.repeat(one, 4, axis=0)
    for first, second, wanted in (
        (many, one, np.concatenate([many, shared], axis=1)),
        (one, many, np.concatenate([shared, many], axis=1)),
    ):
        found = ops.numpy(ops.join(ops.array(first), ops.array(second)))
        np.testing.assert_array_equal(found, wanted)


def test_join_along_the_first_axis(ops: Ops) -> None:
    first, second = complex_numbers(1, 2, 3), complex_numbers(4, 2, 3, seed=1)
    found = ops.numpy(ops.join(ops.array(first), ops.array(second), axis=0))
    np.testing.assert_array_equal(found, np.concatenate([first, second]))


def test_transpose_swaps_the_axes(ops: Ops) -> None:
    matrix = real_numbers(3, 5)
    np.testing.assert_array_equal(ops.numpy(ops.transpose(ops.array(matrix))), matrix.T)


def test_positive_cuts_at_zero(ops: Ops) -> None:
    values = np.array([-2, -1e-9, 0, 1e-9, 3], np.float32)
    wanted = np.array([0, 0, 0, 1e-9, 3], np.float32)
    np.testing.assert_array_equal(ops.numpy(ops.positive(ops.array(values))), wanted)


@pytest.mark.parametrize('shift', [(0, 0), (2, -3), (-1, 6)])
def test_roll_moves_pixels_round_the_edges(ops: Ops, shift: tuple[int, int]) -> None:
    image = complex_numbers(5, 7)
    found = ops.numpy(ops.roll(ops.array(image), shift))
    wanted = np.empty_like(image)
    for row in range(5):
        for column in range(7):
            wanted[(row + shift[0]) % 5, (column + shift[1]) % 7] = image[row, column]
    np.testing.assert_array_equal(found, wanted)


def test_arrays_come_back_as_they_went(ops: Ops) -> None:
    kinds: list[Values] = [complex_numbers(2, 3), np.arange(4), np.ones(2, np.float32)]
    for values in kinds:
        values.flags.writeable = False
        back = ops.numpy(ops.array(values))
        assert back.dtype == values.dtype
        np.testing.assert_array_equal(back, values)
    assert ops.number(ops.array(np.array(2.5, np.float32))) == 2.5
    zeros = ops.numpy(ops.zeros((2, 3), 'complex64'))
    assert zeros.shape == (2, 3)
    assert zeros.dtype == np.complex64
    assert not zeros.any()


def test_numbers_agree_with_numpy(other_ops: Ops) -> None:
    world = make_world(modes=3)
    counts = other_ops.numpy(make_counts(other_ops, world))
    wanted: Values = make_counts(NumpyOps(), world)
    assert relative(counts, wanted) < 1e-5
    measured = np.random.default_rng(0).poisson(wanted).astype(np.float32)
    found = other_ops.number(
        poisson_deviance(other_ops, other_ops.array(counts), other_ops.array(measured), None)
    )
    assert found == pytest.approx(
        NumpyOps().number(poisson_deviance(NumpyOps(), wanted, measured, None)), rel=1e-4
    )


def everything(
    ops: Ops, weights: Array, images: Array, parts: tuple[Array, None, tuple[Array, float]]
) -> tuple[Array, None, tuple[Array, ...]]:
    """Use the functions that have code of their own on the CPU, and nested arguments."""
    canvas, nothing, (corners, factor) = parts
    patches = ops.cut(canvas, corners, 8)
    spectra = ops.ifft2(ops.fft2(patches)) + ops.ifft2_unscaled(ops.fft2_unscaled(patches))
    added = ops.add(canvas * 0, spectra * factor, corners)
    combined = ops.combine(weights, images)
    total = ops.sum(ops.real(combined), (1, 2)), ops.sum(ops.abs2(combined), (0,))
    return added, nothing, total


def test_compiled_functions_take_nested_arguments(ops: Ops, corners: Values) -> None:
    arrays = real_numbers(5, 3), complex_numbers(3, 4, 6), make_object((19, 23))
    weights, images, canvas = (ops.array(x) for x in arrays)
    parts = (canvas, None, (ops.array(corners), 2.0))
    found, nothing, sums = ops.compiled(everything)(weights, images, parts)
    assert nothing is None
    reference = everything(NumpyOps(), arrays[0], arrays[1], (arrays[2], None, (corners, 2.0)))
    assert relative(ops.numpy(found), reference[0]) < 1e-5
    for one, wanted in zip(sums, reference[2], strict=True):
        assert relative(ops.numpy(one), wanted) < 1e-5
