"""Small scans with known objects, made by plain NumPy, without the package's own physics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import ScanData, ScanMetadata

Complex = npt.NDArray[np.complex64]
Positions = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownScan:
    """A scan and the object that it was made from, on the scan's canvas."""

    scan: ScanData
    ground_truth: Complex


def make_probe(frame_size: int, modes: int = 1, photons: float = 1e5) -> Complex:
    """Return an asymmetric complex probe, (modes, N, N), with sum |P|^2 = photons.

    An annular pupil with defocus, astigmatism and coma; every further mode is the one before
    tilted and weaker, so no symmetry hides a flip or a missing conjugate.
    """
    k = np.fft.fftshift(np.fft.fftfreq(frame_size))
    ky, kx = np.meshgrid(k, k, indexing='ij')
    r = np.hypot(ky, kx * 1.15)
    pupil = 1 / (1 + np.exp((r - 0.14) / 0.01)) - 0.8 / (1 + np.exp((r - 0.04) / 0.01))
    phase = 140 * r**2 + 30 * (ky**2 - kx**2) + 260 * ky * r**2 + 90 * kx**3 + 8 * ky * kx
    wave = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil * np.exp(1j * phase))))
    y, x = np.mgrid[:frame_size, :frame_size] - frame_size // 2
    tilt = (y - 0.5 * x) / frame_size
    probe = np.stack([wave * (0.5 * tilt * 4) ** m * 0.6**m for m in range(modes)])
    probe *= np.sqrt(photons / np.sum(np.abs(probe) ** 2))
    return probe.astype(np.complex64)


def make_object(shape: tuple[int, int], seed: int = 0) -> Complex:
    """Return an asymmetric object (H, W): amplitude 0.5 to 1, phase within 1 rad."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    thickness = np.zeros(shape)
    phase = np.zeros(shape)
    for image in (thickness, phase):
        for _ in range(30):
            cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
            sy, sx = rng.uniform(1.2, 6, 2)
            image += np.exp(-(((y - cy) / sy) ** 2) - ((x - cx) / sx) ** 2)
    return (np.exp(-0.4 * np.tanh(thickness)) * np.exp(1j * np.tanh(phase))).astype(np.complex64)


def expected_counts(obj: Complex, probe: Complex, positions_px: Positions) -> Counts:
    """Return the expected photons, float64 (n, N, N), of an object that contains every patch."""
    n = probe.shape[-1]
    fy, fx = np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]
    spectra = np.fft.fft2(np.fft.ifftshift(probe.astype(np.complex128), axes=(1, 2)))
    frames = np.empty((len(positions_px), n, n))
    for frame, (y, x) in zip(frames, positions_px, strict=True):
        row, column = int(np.round(y)), int(np.round(x))
        ramp = np.exp(-2j * np.pi * (fy * (y - row) + fx * (x - column)))
        shifted = np.fft.ifft2(spectra * ramp)
        top, left = row - n // 2, column - n // 2
        patch = np.fft.ifftshift(obj[top : top + n, left : left + n])
        wave = np.fft.fftshift(np.fft.fft2(shifted * patch, norm='ortho'), axes=(1, 2))
        frame[...] = np.sum(np.abs(wave) ** 2, axis=0)
    return frames


def make_positions(side: int, step_px: float, frame_size: int, seed: int = 0) -> Positions:
    """Return a jittered raster, float64 (side**2, 2), whose patches start at pixel 3 or later."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing='ij'), axis=-1)
    jitter = rng.uniform(-0.25, 0.25, (side * side, 2)) * step_px
    start = frame_size // 2 + 3 + 0.25 * step_px
    return grid.reshape(-1, 2) * step_px + start + jitter


def make_known_scan(
    *,
    frame_size: int = 32,
    side: int = 5,
    step_px: float = 5.0,
    modes: int = 1,
    photons: float = 1e5,
    noise: bool = True,
    bad_pixels: int = 0,
    with_guess: bool = True,
    seed: int = 0,
) -> KnownScan:
    """Make a scan of side**2 frames with its true object.

    Args:
        frame_size: N.
        side: frames along one side of the raster.
        step_px: raster step in object pixels.
        modes: probe modes.
        photons: expected photons a frame through empty space.
        noise: True draws Poisson counts, False keeps the expected values.
        bad_pixels: how many detector pixels are masked, with counts 0 there.
        with_guess: True gives an object guess of ones on the true object's canvas.
        seed: of object, positions and noise.
    """
    rng = np.random.default_rng(seed + 1)
    probe = make_probe(frame_size, modes, photons)
    positions = make_positions(side, step_px, frame_size, seed)
    # Unequal borders and an oblong canvas, so that swapped axes do not pass.
    bottom = np.ceil(positions.max(axis=0)).astype(int) + frame_size // 2 + 1
    shape = (int(bottom[0]) + 3, int(bottom[1]) + 8)
    ground_truth = make_object(shape, seed)
    counts = expected_counts(ground_truth, probe, positions)
    if noise:
        counts = rng.poisson(counts).astype(np.float64)
    mask = np.zeros((frame_size, frame_size), dtype=bool)
    mask.ravel()[rng.choice(mask.size, bad_pixels, replace=False)] = True
    counts[:, mask] = 0
    scan = ScanData(
        counts=counts.astype(np.float32),
        positions_px=positions,
        probe=probe,
        mask=mask,
        object_guess=np.ones(shape, dtype=np.complex64) if with_guess else None,
        metadata=ScanMetadata(),
        source='made for a test',
    )
    return KnownScan(scan, ground_truth)


def make_scan(**options: Any) -> ScanData:
    """Make the scan of `make_known_scan` without its true object."""
    return make_known_scan(**options).scan
