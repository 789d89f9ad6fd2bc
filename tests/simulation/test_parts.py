"""Laws of the parts: probe, positions, samples."""

from typing import get_args

import numpy as np
import pytest

from ptychopinn_plugin.simulation import ObjectKind, ScanPattern, SimulationConfig
from ptychopinn_plugin.simulation.positions import make_offsets, place_on_canvas
from ptychopinn_plugin.simulation.probe import MODE_POWER_RATIO, Wave, make_probe
from ptychopinn_plugin.simulation.samples import make_object


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def likeness(first: Wave, second: Wave) -> float:
    """Return |<first, second>| of two waves of norm 1."""
    return float(np.abs(np.vdot(first, second)))


class TestProbe:
    def test_modes_are_orthogonal_and_each_weaker_by_the_same_ratio(self) -> None:
        waves = make_probe(64, 8, generator()).reshape(8, -1)
        gram = waves @ waves.conj().T
        np.testing.assert_allclose(gram - np.diag(np.diagonal(gram)), 0, atol=1e-12)
        power = np.diagonal(gram).real
        np.testing.assert_allclose(power[1:] / power[:-1], MODE_POWER_RATIO)
        assert power.sum() == pytest.approx(1)

    def test_first_mode_does_not_depend_on_the_number_of_modes(self) -> None:
        one, many = make_probe(64, 1, generator())[0], make_probe(64, 4, generator())[0]
        np.testing.assert_allclose(one, many / np.linalg.norm(many), atol=1e-12)

    def test_second_mode_is_the_first_tilted(self) -> None:
        first, second = (np.fft.fft2(np.fft.ifftshift(m)) for m in make_probe(64, 2, generator()))
        assert first[0, 0].real > 0.999 * np.abs(first[0, 0])  # no aberration there
        inner = np.vdot(np.fft.fftfreq(64)[:, None] * first, second)
        assert inner.real > 0.9 * np.linalg.norm(np.fft.fftfreq(64)[:, None] * first) * (
            np.linalg.norm(second)
        )

    def test_no_flip_transpose_or_conjugate_leaves_it_as_it_was(self) -> None:
        wave = make_probe(64, 1, generator())[0][1:, 1:]  # centred on the middle pixel
        wave /= np.linalg.norm(wave)
        for other in (wave[::-1], wave[:, ::-1], wave[::-1, ::-1], wave.T, wave.conj()):
            assert likeness(wave, other) < 0.98

    def test_fills_the_same_part_of_every_frame(self) -> None:
        widths = []
        for size in (64, 128, 256):
            power = np.abs(make_probe(size, 1, generator())[0]) ** 2
            distance = np.abs(np.arange(size) - size // 2)
            widths.append((power.sum(axis=1) @ distance**2) ** 0.5 / size)
            assert power[: size // 16].sum() + power[-size // 16 :].sum() < 1e-2
        assert max(widths) < 1.25 * min(widths)

    def test_variation_changes_it_and_none_gives_the_same_for_every_seed(self) -> None:
        first, second = make_probe(64, 1, generator(1)), make_probe(64, 1, generator(2))
        np.testing.assert_array_equal(first, second)
        varied = make_probe(64, 1, generator(1), variation=0.2)
        assert likeness(first, varied) < 0.99


class TestPositions:
    @pytest.mark.parametrize('pattern', get_args(ScanPattern))
    def test_every_patch_lies_inside_the_canvas(self, pattern: ScanPattern) -> None:
        config = SimulationConfig(scan_pattern=pattern, rows=6, columns=9, step_px=7.3)
        positions, shape = place_on_canvas(make_offsets(config, generator()), 64)
        assert positions.shape == (54, 2)
        corner = np.rint(positions) - 32
        assert corner.min() >= 0
        assert (corner + 64 <= shape).all()

    def test_raster_goes_row_by_row_in_equal_steps(self) -> None:
        config = SimulationConfig(scan_pattern='raster', rows=3, columns=5, step_px=4.5)
        grid = make_offsets(config, generator()).reshape(3, 5, 2)
        np.testing.assert_allclose(np.diff(grid[..., 0], axis=0), 4.5)
        np.testing.assert_allclose(np.diff(grid[..., 1], axis=1), 4.5)
        np.testing.assert_allclose(grid.mean(axis=(0, 1)), 0, atol=1e-9)

    def test_jitter_stays_within_its_bound(self) -> None:
        raster = SimulationConfig(scan_pattern='raster', rows=20, columns=20)
        jittered = SimulationConfig(rows=20, columns=20, jitter_px=2.5)
        moved = make_offsets(jittered, generator()) - make_offsets(raster, generator())
        assert 2 < np.abs(moved).max() <= 2.5
        assert np.abs(moved.mean(axis=0)).max() < 0.5

    def test_spiral_is_as_dense_as_the_raster_and_has_no_grid(self) -> None:
        config = SimulationConfig(scan_pattern='spiral', rows=20, columns=20, step_px=6)
        radius = np.hypot(*make_offsets(config, generator()).T)
        assert (np.diff(radius) > 0).all()
        within = radius < 40
        assert within.sum() * 36 == pytest.approx(np.pi * 40**2, rel=0.03)


class TestSamples:
    @pytest.mark.parametrize('kind', get_args(ObjectKind))
    def test_amplitude_and_phase_use_their_whole_range(self, kind: ObjectKind) -> None:
        for seed in range(4):
            sample = make_object(
                kind, (150, 120), generator(seed), amplitude_contrast=0.4, phase_range_rad=2
            )
            assert sample.shape == (150, 120)
            assert sample.dtype == np.complex64
            amplitude, phase = np.abs(sample), np.angle(sample)
            assert (amplitude.min(), amplitude.max()) == pytest.approx((0.6, 1), abs=1e-5)
            assert (phase.min(), phase.max()) == pytest.approx((-1, 1), abs=1e-5)

    @pytest.mark.parametrize('kind', get_args(ObjectKind))
    def test_every_seed_draws_another_sample(self, kind: ObjectKind) -> None:
        first, second = (np.abs(make_object(kind, (150, 120), generator(s))) for s in (0, 1))
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.8

    @pytest.mark.parametrize('kind', get_args(ObjectKind))
    def test_nothing_is_finer_than_the_pixels(self, kind: ObjectKind) -> None:
        power = np.abs(np.fft.fft2(np.abs(make_object(kind, (128, 128), generator())))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
        power[0, 0] = 0
        assert power[frequency > 0.48].sum() < 1e-3 * power.sum()

    @pytest.mark.parametrize('kind', get_args(ObjectKind))
    def test_amplitude_and_phase_are_independent_save_for_the_star(self, kind: ObjectKind) -> None:
        sample = make_object(kind, (150, 120), generator())
        together = abs(np.corrcoef(np.abs(sample).ravel(), np.angle(sample).ravel())[0, 1])
        assert (together < 0.8) == (kind != 'siemens')
