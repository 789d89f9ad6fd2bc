"""Simulated scans with one fault of real experiments each, and their ground truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import ScanData, ScanMetadata
from ptychopinn_plugin.config.simulation import ObjectKind
from ptychopinn_plugin.simulation.positions import place_on_canvas
from ptychopinn_plugin.simulation.samples import make_object
from ptychopinn_plugin.simulation.simulated_scan import expected_counts

Complex = npt.NDArray[np.complex128]
Positions = npt.NDArray[np.float64]
Guess = Literal['true', 'defocus 10 %', 'defocus 30 %', 'aperture', 'gaussian']
# Object pixels around the scan, so that positions which are off stay on the canvas.
MARGIN_PX = 16
DEFOCUS, ASTIGMATISM, COMA = 260.0, 25.0, 300.0


@dataclass(frozen=True)
class Fault:
    """What differs between the scan as it happened and what its user knows.

    Attributes:
        positions_rms_px: independent errors of the positions, length of the vector.
        affine: scale, rotation in degrees and shear of the true positions about their centre.
        mode_powers: of mutually incoherent modes; the user's probe has the first one only.
        guess: the user's probe.
        flux_rms: relative variation of the photons from frame to frame.
        beam_rms_px: movement of the beam from frame to frame, along each axis.
        astigmatism_drift: of the probe along the scan, waves at a quarter of the frame.
        background: counts added to each detector pixel.
        bad_pixels: dead and hot pixels, masked.
        photons: mean of a frame.
        kind: of the object.
        jitter_px: largest offset of a position from the raster, along each axis.
    """

    positions_rms_px: float = 0.0
    affine: tuple[float, float, float] = (1.0, 0.0, 0.0)
    mode_powers: tuple[float, ...] = (1.0,)
    guess: Guess = 'true'
    flux_rms: float = 0.0
    beam_rms_px: float = 0.0
    astigmatism_drift: float = 0.0
    background: float = 0.0
    bad_pixels: int = 0
    photons: float = 1e6
    kind: ObjectKind = 'mixed'
    jitter_px: float = 1.5


FAULTS = {
    'none': Fault(),
    'bad pixels': Fault(bad_pixels=60),
    'defocus of the probe 10 % off': Fault(guess='defocus 10 %'),
    'defocus of the probe 30 % off': Fault(guess='defocus 30 %'),
    'probe without its aberrations': Fault(guess='aperture'),
    'probe a Gaussian': Fault(guess='gaussian'),
    'exact raster': Fault(guess='aperture', kind='lines', jitter_px=0.0),
    'positions 0.5 px off': Fault(positions_rms_px=0.5),
    'positions 1.5 px off': Fault(positions_rms_px=1.5),
    'scale, rotation, shear': Fault(affine=(1.02, 1.0, 0.01)),
    'beam moves 0.5 px': Fault(beam_rms_px=0.5),
    'three modes': Fault(mode_powers=(0.80, 0.12, 0.08)),
    'flux varies by 10 %': Fault(flux_rms=0.1),
    'probe drifts': Fault(astigmatism_drift=0.6),
    'background': Fault(background=5.0),
    '1e4 photons': Fault(photons=1e4, guess='defocus 10 %'),
    '1e3 photons': Fault(photons=1e3, guess='defocus 10 %'),
    '1e4 photons, positions off': Fault(photons=1e4, guess='defocus 10 %', positions_rms_px=0.5),
    'several at once': Fault(
        photons=1e5,
        guess='defocus 10 %',
        positions_rms_px=0.5,
        mode_powers=(0.85, 0.10, 0.05),
        flux_rms=0.05,
        bad_pixels=30,
    ),
}


@dataclass(frozen=True, eq=False)
class FaultyScan:
    """A scan as its user has it, and the ground truth.

    Attributes:
        scan: frames, the user's positions and probe, the mask; its object guess is flat.
        truth: complex64 (H, W), the object on the canvas of the scan.
        positions_px: float64 (n, 2), where the frames were taken.
    """

    scan: ScanData
    truth: npt.NDArray[np.complex64]
    positions_px: Positions


def faulty_scan(fault: Fault, seed: int, side: int = 21, frame_size: int = 64) -> FaultyScan:
    """Simulate a raster of side**2 frames, 6 px apart, with a fault.

    Args:
        fault: what is wrong.
        seed: of object, positions and noise.
        side: frames along one side.
        frame_size: N.
    """
    rng = np.random.default_rng([seed, 1])
    step_px = 6.0 * frame_size / 64
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing='ij')
    grid = np.stack([rows.ravel(), columns.ravel()], axis=1) * step_px
    offsets = grid - grid.mean(axis=0)
    offsets = offsets + rng.uniform(-fault.jitter_px, fault.jitter_px, offsets.shape)
    nominal, shape = place_on_canvas(offsets, frame_size, MARGIN_PX)
    true = _moved(nominal, fault, rng)
    truth = make_object(fault.kind, shape, rng)
    frames, scale = _frames(truth, true, fault, frame_size, rng)
    counts, mask = _detected(frames, fault, rng)
    probe = _guess(fault.guess, frame_size) * math.sqrt(scale)
    scan = ScanData(
        counts=counts,
        positions_px=nominal,
        probe=probe[None].astype(np.complex64),
        mask=mask,
        object_guess=np.ones(shape, np.complex64),
        metadata=ScanMetadata(),
        source=f'simulated scan with a fault, seed {seed}',
    )
    return FaultyScan(scan, truth, true)


def focused_pupil(frame_size: int, defocus: float, astigmatism: float, coma: float) -> Complex:
    """Return the probe of an annular pupil with aberrations, complex128 (N, N), of unit power."""
    k = np.fft.fftshift(np.fft.fftfreq(frame_size))
    ky, kx = np.meshgrid(k, k, indexing='ij')
    r = np.hypot(ky, kx)
    pupil = 1 / (1 + np.exp((r - 0.11) / 0.004)) - 0.9 / (1 + np.exp((r - 0.035) / 0.004))
    # The aberrations grow with N, so that the probe fills the same part of every frame.
    phase = defocus * r**2 + astigmatism * (ky**2 - kx**2) + coma * ky * r**2
    wave = pupil * np.exp(1j * phase * frame_size / 64)
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wave)))
    return np.asarray(probe / np.linalg.norm(probe))


def _guess(guess: Guess, frame_size: int) -> Complex:
    if guess == 'gaussian':
        y, x = np.mgrid[:frame_size, :frame_size] - frame_size // 2
        wave = np.exp(-(y**2 + x**2) / (2 * (7.0 * frame_size / 64) ** 2)) + 0j
        return np.asarray(wave / np.linalg.norm(wave))
    if guess == 'aperture':
        return focused_pupil(frame_size, DEFOCUS, 0.0, 0.0)
    error = {'true': 0.0, 'defocus 10 %': 0.1, 'defocus 30 %': 0.3}[guess]
    return focused_pupil(frame_size, DEFOCUS * (1 + error), ASTIGMATISM, COMA)


def _moved(nominal: Positions, fault: Fault, rng: np.random.Generator) -> Positions:
    """Return where the frames were taken."""
    scale, degrees, shear = fault.affine
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    matrix = scale * turn @ np.array([[1.0, 0.0], [shear, 1.0]])
    centre = nominal.mean(axis=0)
    moved = centre + (nominal - centre) @ matrix.T
    return moved + rng.normal(0, fault.positions_rms_px / math.sqrt(2), nominal.shape)


def _frames(
    truth: npt.NDArray[np.complex64],
    positions_px: Positions,
    fault: Fault,
    frame_size: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], float]:
    """Return expected counts (n, N, N) without background, and the photons of the probe."""
    main = focused_pupil(frame_size, DEFOCUS, ASTIGMATISM, COMA)
    modes = _modes(main, fault.mode_powers)
    x = np.arange(frame_size) / frame_size - 0.5
    wave_of_drift = 8 * fault.astigmatism_drift * x**2
    frames = np.empty((len(positions_px), frame_size, frame_size))
    for number, position in enumerate(positions_px):
        along = math.sin(2 * math.pi * number / len(positions_px))
        probe = modes * np.exp(2j * math.pi * along * wave_of_drift)
        beam = rng.normal(0, fault.beam_rms_px, 2) if fault.beam_rms_px else np.zeros(2)
        flux = max(0.1, 1 + fault.flux_rms * rng.normal())
        lit = _shifted(probe, beam)
        frames[number] = flux * expected_counts(truth, lit, position[None])[0]
    scale = fault.photons / frames.sum(axis=(1, 2)).mean()
    return frames * scale, float(scale)


def _shifted(probe: Complex, shift_px: npt.NDArray[np.float64]) -> Complex:
    if not shift_px.any():
        return probe
    frequency = np.fft.fftfreq(probe.shape[-1])
    turns = frequency[:, None] * shift_px[0] + frequency * shift_px[1]
    return np.asarray(np.fft.ifft2(np.fft.fft2(probe) * np.exp(-2j * np.pi * turns)))


def _modes(main: Complex, powers: tuple[float, ...]) -> Complex:
    """Return modes (modes, N, N): the main one and its products with coordinates."""
    y, x = np.mgrid[: main.shape[0], : main.shape[1]] - main.shape[0] // 2
    waves = [main, main * x, main * y][: len(powers)]
    scaled = [
        wave * math.sqrt(power) / np.linalg.norm(wave)
        for wave, power in zip(waves, powers, strict=True)
    ]
    return np.stack(scaled)


def _detected(
    frames: npt.NDArray[np.float64], fault: Fault, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return counts with noise, background and bad pixels, and the mask."""
    counts = rng.poisson(frames + fault.background).astype(np.float32)
    size = frames.shape[-1]
    mask = np.zeros((size, size), np.bool_)
    mask.ravel()[rng.choice(size * size, fault.bad_pixels, replace=False)] = True
    counts[:, mask] = rng.choice([0, 65535], fault.bad_pixels)
    return counts, mask


def without_faults(scan: FaultyScan, probe: Complex | None = None) -> ScanData:
    """Return a scan with the true positions, and a probe in place of the user's."""
    known = replace(scan.scan, positions_px=scan.positions_px)
    return known if probe is None else replace(known, probe=probe.astype(np.complex64))
