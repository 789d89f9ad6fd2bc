"""Random images in [0, 1], float64 (H, W), out of which samples are made.

Each is drawn from its random generator: places, sizes, directions and counts are all random.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon as fill_polygon

Image: TypeAlias = npt.NDArray[np.float64]
Shape: TypeAlias = tuple[int, int]


def gaussian_random_field(shape: Shape, rng: np.random.Generator) -> Image:
    """Return clouds: white noise filtered with a power law of the spatial frequency."""
    power = rng.uniform(1.1, 1.7)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    return stretched(np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) / frequency**power).real)


def lines(shape: Shape, rng: np.random.Generator) -> Image:
    """Return crossing fibres of random width, from strongly bent to straight."""
    extent = float(max(shape))
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for _ in range(int(min(200, rng.uniform(0.2, 0.5) * extent))):
        # A fibre is an arc of a circle; the largest circles are as good as straight.
        radius = extent * 10 ** rng.uniform(-0.3, 1.5)
        through_y, through_x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        angle = rng.uniform(0, 2 * np.pi)
        center_y = through_y + radius * np.sin(angle)
        center_x = through_x + radius * np.cos(angle)
        distance = np.hypot(y - center_y, x - center_x) - radius
        image += np.exp(-((distance / rng.uniform(0.8, 2.5)) ** 4))
    return stretched(np.minimum(image, 2))


def siemens_star(shape: Shape, rng: np.random.Generator) -> Image:
    """Return a star with random centre, rotation, number of spokes and ring-shaped gaps."""
    extent = float(min(shape))
    center_y = shape[0] * rng.uniform(0.35, 0.65)
    center_x = shape[1] * rng.uniform(0.35, 0.65)
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(y - center_y, x - center_x)
    angle = np.arctan2(y - center_y, x - center_x) + rng.uniform(0, 2 * np.pi)
    spokes = int(rng.integers(8, 37))
    # Distance to the nearest edge of a spoke, so that edges are smooth on the pixel grid.
    image: Image = np.clip(0.5 + np.sin(spokes * angle) * radius / spokes, 0, 1)
    finest = 3 * spokes / (2 * np.pi)
    image[radius < finest] = 1
    for _ in range(int(rng.integers(1, 4))):
        inner = rng.uniform(finest, 0.6 * extent)
        image[(radius > inner) & (radius < inner + rng.uniform(2, 5))] = 0
    image[radius > extent * rng.uniform(0.5, 0.8)] = 0
    return image


def cells(shape: Shape, rng: np.random.Generator) -> Image:
    """Return round bodies with a wall and an off-centre nucleus, overlapping at random."""
    image = np.zeros(shape)
    mean_radius = rng.uniform(0.03, 0.08) * max(shape)
    for _ in range(int(rng.uniform(0.3, 0.8) * shape[0] * shape[1] / mean_radius**2 / np.pi) + 1):
        radius = mean_radius * rng.uniform(0.4, 1.6)
        center_y, center_x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        rows, columns = _window(center_y, shape[0], radius), _window(center_x, shape[1], radius)
        y, x = np.ogrid[rows, columns]
        distance = np.hypot(y - center_y, (x - center_x) * rng.uniform(0.75, 1.3))
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4) * radius
        inside = np.hypot(y - center_y - away * np.sin(angle), x - center_x - away * np.cos(angle))
        body = rng.uniform(0.2, 0.6) * _soft_disc(distance, radius * 0.9)
        wall = 0.4 * np.exp(-(((distance - radius * 0.85) / 1.5) ** 2))
        image[rows, columns] += body + wall + 0.4 * _soft_disc(inside, radius * 0.35)
    return stretched(np.minimum(image, 1.5))


def polygons(shape: Shape, rng: np.random.Generator) -> Image:
    """Return grains: irregular polygons of random size and depth, overlapping at random."""
    image = np.zeros(shape)
    mean_radius = rng.uniform(0.04, 0.12) * max(shape)
    for _ in range(int(rng.uniform(0.4, 1.0) * shape[0] * shape[1] / mean_radius**2 / np.pi) + 1):
        corners = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = mean_radius * rng.uniform(0.5, 1.6, corners)
        y = rng.uniform(0, shape[0]) + radius * np.sin(angle)
        x = rng.uniform(0, shape[1]) + radius * np.cos(angle)
        image[fill_polygon(y, x, shape)] += rng.uniform(0.2, 1)
    return stretched(np.minimum(image, 1.5))


def stretched(image: Image) -> Image:
    """Return an image whose values run from 0 to 1; a constant one becomes zero."""
    span = np.ptp(image)
    return (image - image.min()) / span if span > 0 else np.zeros_like(image)


def _soft_disc(distance: Image, radius: float) -> Image:
    return np.clip(0.5 + (radius - distance) / 2, 0, 1)


def _window(center: float, size: int, radius: float) -> slice:
    reach = 1.5 * radius + 3
    return slice(max(0, int(center - reach)), min(size, int(center + reach) + 1))
