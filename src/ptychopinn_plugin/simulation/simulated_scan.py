"""Simulated scans with known ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config.simulation import SimulationConfig
from ptychopinn_plugin.scan import ScanData, ScanMetadata
from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, FloatArray, PositionArray
from ptychopinn_plugin.simulation.positions import make_offsets, place_on_canvas
from ptychopinn_plugin.simulation.probe import make_probe
from ptychopinn_plugin.simulation.samples import make_object

STREAMS = ('object', 'positions', 'probe', 'noise', 'bad pixels')
CHUNK_PIXELS = 2**18  # of the frames that are propagated together


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """A scan with the object and the probe that it was simulated from.

    Attributes:
        scan: as a reader would give it; its object guess is the ground truth and its probe the
            initial one, defocused by `config.probe_guess_error`.
        ground_truth: complex64 (H, W), the sample, amplitude at most 1.
        probe: complex64 (modes, N, N), the probe that made the frames; sum |probe|^2 is the
            expected number of photons a frame through empty space.
        config: of the simulation.
    """

    scan: ScanData
    ground_truth: ComplexArray
    probe: ComplexArray
    config: SimulationConfig


def simulate(config: SimulationConfig) -> SimulatedScan:
    """Simulate a scan: Poisson counts of a known sample and probe.

    The photons of the config are those behind the sample, as the detector would count them: the
    expected counts of a frame, bad pixels included, have that mean over the scan. Sample,
    positions, probe, noise and bad pixels each have their own random stream, so the same seed at
    another dose gives the same sample under the same probe.
    """
    offsets = make_offsets(config, _stream(config, 'positions'))
    positions, shape = place_on_canvas(offsets, config.frame_size)
    ground_truth = make_object(
        config.object_kind,
        shape,
        _stream(config, 'object'),
        amplitude_contrast=config.amplitude_contrast,
        phase_range_rad=config.phase_range_rad,
    )
    probe = _make_probe(config)
    guess = _make_probe(config, config.probe_guess_error)
    counts = expected_counts(ground_truth, probe, positions)
    scale = config.photons_per_frame / float(counts.sum(axis=(1, 2), dtype=np.float64).mean())
    noise = _stream(config, 'noise')
    for frames in _chunks(counts):
        frames[...] = noise.poisson(frames.astype(np.float64) * scale)
    mask = _spoil_pixels(counts, config.bad_pixels, _stream(config, 'bad pixels'))
    scan = ScanData(
        counts=counts,
        positions_px=positions,
        probe=(guess * np.sqrt(scale)).astype(np.complex64),
        mask=mask,
        object_guess=ground_truth,
        metadata=ScanMetadata(
            pixel_size_m=(config.pixel_size_m, config.pixel_size_m),
            photon_energy_ev=config.photon_energy_ev,
            detector_distance_m=config.detector_distance_m,
            scan_index=np.arange(len(counts), dtype=np.int64),
        ),
        source=f'simulated scan, seed {config.seed}',
    )
    return SimulatedScan(scan, ground_truth, (probe * np.sqrt(scale)).astype(np.complex64), config)


def expected_counts(
    sample: ComplexArray, probe: npt.NDArray[np.complexfloating], positions_px: PositionArray
) -> FloatArray:
    """Return the counts that are expected without noise.

    Sum over modes of |FFT(probe_m x patch)|^2, with the unitary, centred FFT; pixel N//2 of a
    patch lies on the rounded position and the rest of the position shifts the probe in Fourier
    space.

    Args:
        sample: complex (H, W), wholly containing every patch.
        probe: complex (modes, N, N), centred on N//2.
        positions_px: float64 (n, 2), (row, column), pixels of the sample.

    Returns:
        float32 (n, N, N), zero frequency at N//2.
    """
    size = probe.shape[-1]
    spectrum = np.fft.fft2(probe.astype(np.complex128))
    frequency = np.fft.fftfreq(size)
    windows = np.lib.stride_tricks.sliding_window_view(sample, (size, size))
    counts = np.empty((len(positions_px), size, size), np.float32)
    start = 0
    for frames in _chunks(counts):
        positions = positions_px[start : start + len(frames)]
        start += len(frames)
        pixel = np.rint(positions).astype(np.int64)
        cycles = (positions - pixel)[:, :, None] * frequency
        ramp = np.exp(-2j * np.pi * (cycles[:, 0, :, None] + cycles[:, 1, None, :]))
        corner = pixel - size // 2
        patches = windows[corner[:, 0], corner[:, 1]]
        frames[...] = 0
        for mode in spectrum:
            wave = np.fft.fft2(np.fft.ifft2(mode * ramp) * patches, norm='ortho')
            # The origin of a wave changes phases only, so it is enough to centre the pattern.
            frames += np.fft.fftshift(np.abs(wave) ** 2, axes=(1, 2))
    return counts


def _stream(config: SimulationConfig, purpose: str) -> np.random.Generator:
    return np.random.default_rng([config.seed, STREAMS.index(purpose)])


def _make_probe(config: SimulationConfig, defocus_error: float = 0.0) -> npt.NDArray[np.complex128]:
    return make_probe(
        config.frame_size,
        config.probe_modes,
        _stream(config, 'probe'),
        variation=config.probe_variation,
        defocus_error=defocus_error,
    )


def _chunks(counts: FloatArray) -> Iterator[FloatArray]:
    step = max(1, CHUNK_PIXELS // (counts.shape[1] * counts.shape[2]))
    for start in range(0, len(counts), step):
        yield counts[start : start + step]


def _spoil_pixels(counts: FloatArray, bad_pixels: int, rng: np.random.Generator) -> BoolArray:
    """Make pixels dead and hot alternately, in place; return where, bool (N, N)."""
    size = counts.shape[-1]
    mask = np.zeros((size, size), np.bool_)
    chosen = rng.choice(size * size, bad_pixels, replace=False)
    mask.ravel()[chosen] = True
    rows, columns = np.unravel_index(chosen, mask.shape)
    brightest = float(counts.max())
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        hot = np.rint(brightest * rng.uniform(1, 10)) + 1
        counts[:, row, column] = hot if number % 2 else 0
    return mask
