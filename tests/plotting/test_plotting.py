"""Pictures show the covered object without what ptychography cannot know."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from matplotlib_scalebar.scalebar import ScaleBar

from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.physics.ambiguities import phase_ramp
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.plotting.display import (
    hue_and_brightness,
    object_view,
    position_moves,
    robust_range,
)
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.plotting.new_figure import new_figure
from ptychopinn_plugin.plotting.panels import (
    draw_coverage,
    draw_error,
    draw_network_change,
    draw_residual,
    draw_ring_correlation,
    draw_scale_bar,
)
from ptychopinn_plugin.plotting.report_figures import quality_figure
from ptychopinn_plugin.scan import Estimates
from tests.io.result_examples import known_quality, known_reconstruction


@pytest.mark.parametrize('suffix', ['.png', '.pdf', '.svg'])
def test_a_picture_is_drawn(tmp_path: Path, suffix: str) -> None:
    _, reconstruction = known_reconstruction()
    reconstruction = dataclasses.replace(reconstruction, pixel_size_m=(1e-8, 1e-8))
    path = tmp_path / f'object{suffix}'
    picture(reconstruction, path, title='a test')
    assert path.stat().st_size > 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_errors_and_ring_correlation_get_a_row_of_their_own(tmp_path: Path) -> None:
    _, without = known_reconstruction()
    quality = known_quality(without.object_canvas.shape)
    picture(without, tmp_path / 'without.png')
    picture(dataclasses.replace(without, quality=quality), tmp_path / 'with.png')
    heights = [imread(tmp_path / name).shape[0] for name in ('without.png', 'with.png')]
    assert heights[1] == pytest.approx(1.4 * heights[0], rel=0.01)
    axes = Figure().subplots()
    draw_ring_correlation(axes, quality)
    assert 'half period resolved: 1.2 px' in axes.get_title()
    draw_error(axes, quality.phase_error, object_view(without))
    assert axes.images[0].get_clim() == pytest.approx((0, 4.5), rel=0.1)


def test_what_a_network_changed_gets_a_panel(tmp_path: Path) -> None:
    _, made = known_reconstruction()
    quality = known_quality(made.object_canvas.shape)
    without = dataclasses.replace(made, quality=quality)
    change = (0.1 * made.object_canvas).astype(np.complex64)
    changed = dataclasses.replace(without, network_change=change)
    picture(without, tmp_path / 'without.png')
    picture(changed, tmp_path / 'with.png')
    assert imread(tmp_path / 'without.png').shape == imread(tmp_path / 'with.png').shape
    assert len(quality_figure(without, quality).axes) + 2 == len(
        quality_figure(changed, quality).axes
    )
    axes = Figure().subplots()
    draw_network_change(axes, np.full(made.object_canvas.shape, 1.5, np.float32), object_view(made))
    # Beyond three standard deviations everything is as bright.
    assert axes.images[0].get_clim() == (0, 3)
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()).max(), 1.5)


@pytest.mark.parametrize('modes', [1, 2, 5])
def test_results_from_files_and_several_modes_are_drawn(tmp_path: Path, modes: int) -> None:
    _, reconstruction = known_reconstruction(modes=modes)
    reconstruction = dataclasses.replace(reconstruction, pixel_size_m=(1e-8, 2e-8))
    picture(reconstruction, tmp_path / 'object.png')
    assert (tmp_path / 'object.png').exists()


def test_nothing_covered_and_nothing_converged_is_drawn_too(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    empty = dataclasses.replace(
        reconstruction,
        object_canvas=np.full_like(reconstruction.object_canvas, np.nan),
        coverage=np.zeros_like(reconstruction.coverage),
        residual=np.zeros(0),
        stages=(),
    )
    picture(empty, tmp_path / 'object.png')
    assert (tmp_path / 'object.png').exists()


def test_a_wrong_place_is_refused(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    with pytest.raises(OutputError, match=r'\.png'):
        picture(reconstruction, tmp_path / 'object.bmp')


def test_the_view_does_not_see_scale_offset_and_ramp() -> None:
    _, reconstruction = known_reconstruction()
    canvas = reconstruction.object_canvas
    tilted = (canvas * phase_ramp(canvas, (0.3, -0.2)) * np.exp(2j)).astype(np.complex64)
    plain = object_view(reconstruction)
    view = object_view(dataclasses.replace(reconstruction, object_canvas=tilted))
    np.testing.assert_allclose(view.phase.filled(0), plain.phase.filled(0), atol=2e-4)
    np.testing.assert_allclose(view.phase_range, plain.phase_range, atol=2e-4)
    assert not view.wraps


def test_the_view_is_the_covered_part_at_its_coordinates() -> None:
    _, reconstruction = known_reconstruction(origin=(-10, 5))
    coverage = np.zeros_like(reconstruction.coverage)
    coverage[12:40, 8:30] = 1
    coverage[20, 20] = 0
    view = object_view(dataclasses.replace(reconstruction, coverage=coverage))
    assert view.amplitude.shape == (28, 22)
    assert view.extent == (12.5, 34.5, 29.5, 1.5)
    assert np.ma.getmaskarray(view.amplitude)[8, 12]
    assert view.amplitude.count() == view.phase.count() == 28 * 22 - 1


def test_faintly_lit_pixels_are_grey() -> None:
    _, reconstruction = known_reconstruction()
    coverage = np.ones_like(reconstruction.coverage)
    coverage[5, 6] = 0.01
    canvas = np.ones_like(reconstruction.object_canvas)
    view = object_view(dataclasses.replace(reconstruction, coverage=coverage, object_canvas=canvas))
    assert np.argwhere(np.ma.getmaskarray(view.amplitude)).tolist() == [[5, 6]]


def test_a_few_wild_pixels_do_not_rule_the_colours() -> None:
    values = np.concatenate([np.linspace(0, 1, 1000), [1e6, -1e6, np.nan]])
    low, high = robust_range(values)
    assert -0.1 < low < 0.1
    assert 0.9 < high < 1.1
    assert robust_range(np.full(10, 2.0)) == (1.5, 2.5)
    assert robust_range(np.zeros(0)) == (0.0, 1.0)


def test_a_whole_turn_of_phase_is_shown_on_a_circle_of_colours() -> None:
    _, reconstruction = known_reconstruction()
    rng = np.random.default_rng(0)
    noise = np.exp(2j * np.pi * rng.random(reconstruction.object_canvas.shape))
    spun = dataclasses.replace(reconstruction, object_canvas=noise.astype(np.complex64))
    assert object_view(spun).wraps


def test_a_probe_s_colours_are_its_phase_and_amplitude() -> None:
    colours = hue_and_brightness(np.array([[1, 0.5, 0], [-1, 1j, 0]]))
    brightness = np.array([[1, 0.5, 0], [1, 1, 0]])
    np.testing.assert_allclose(colours.max(axis=-1), brightness, atol=1e-12)
    assert not np.allclose(colours[0, 0], colours[1, 0])


@pytest.mark.parametrize('steps', [1, 3])
def test_there_is_no_half_step(steps: int) -> None:
    _, result = known_reconstruction()
    few = dataclasses.replace(
        result, residual=result.residual[:steps], stages=result.stages[:steps]
    )
    axes = Figure().subplots()
    draw_residual(axes, few)
    ticks = axes.get_xticks()
    np.testing.assert_array_equal(ticks, np.rint(ticks))


def test_the_residual_is_named_as_the_reconstruction_names_it() -> None:
    _, result = known_reconstruction()
    for name, title in (('$-\\log L$', 'residual $-\\log L$'), ('', 'residual or loss')):
        axes = Figure().subplots()
        draw_residual(axes, dataclasses.replace(result, residual_name=name))
        assert axes.get_title() == title


def test_scale_bars_have_round_lengths() -> None:
    for pixel_size_m, length in ((1e-8, (200, 'nm')), (1e-7, (2, 'um'))):
        figure = Figure()
        axes = figure.subplots()
        axes.imshow(np.zeros((80, 100)))
        draw_scale_bar(axes, pixel_size_m)
        figure.draw_without_rendering()
        (bar,) = axes.findobj(ScaleBar)
        assert isinstance(bar, ScaleBar)
        assert (bar.info.value, bar.info.units) == length
        assert bar.info.length_px == pytest.approx(20)


def test_the_heading_says_who_and_how_long() -> None:
    _, reconstruction = known_reconstruction()
    known = dataclasses.replace(reconstruction, pixel_size_m=(1e-8, 1e-8))
    assert heading(known).startswith('PyTorch  ·  1.5 s')
    assert '10 nm a pixel' in heading(known)


def test_pyplot_is_left_alone(tmp_path: Path) -> None:
    code = (
        'import sys; from tests.io.result_examples import known_quality, known_reconstruction;'
        'from ptychopinn_plugin.plotting import picture;'
        f'picture(known_reconstruction()[1], {str(tmp_path / "a.png")!r});'
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, '-c', code], check=True, cwd=root)


def test_arrows_show_how_positions_were_refined(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction(origin=(-3, 4))
    nominal = reconstruction.positions_px
    offsets = np.random.default_rng(1).normal(0, 0.3, nominal.shape)
    moved = dataclasses.replace(
        reconstruction,
        positions_px=nominal + offsets + 2,
        estimates=Estimates(nominal_positions_px=nominal),
    )
    moves = position_moves(moved)
    assert moves is not None
    np.testing.assert_allclose(moves.nominal_px, nominal - [-3, 4])
    np.testing.assert_allclose(moves.moved_px, offsets - offsets.mean(axis=0))
    figure = Figure()
    axes = figure.subplots()
    draw_coverage(axes, moved)
    (arrows,) = (one for one in axes.collections if isinstance(one, Quiver))
    np.testing.assert_allclose(np.asarray(arrows.U, float), moves.magnified * moves.moved_px[:, 1])
    np.testing.assert_allclose(np.asarray(arrows.V, float), moves.magnified * moves.moved_px[:, 0])
    np.testing.assert_allclose(np.asarray(arrows.get_offsets()), moves.nominal_px[:, ::-1])
    longest = moves.magnified * np.abs(moves.moved_px).max()
    assert 0.01 < longest / np.ptp(nominal) < 0.5
    assert f'{moves.magnified:g} x' in axes.get_title()
    picture(moved, tmp_path / 'object.png')


@pytest.mark.parametrize('known', [False, True])
def test_positions_that_stayed_have_no_arrows(known: bool) -> None:
    _, reconstruction = known_reconstruction()
    nominal = reconstruction.positions_px + 0.25 if known else None
    estimates = Estimates(nominal_positions_px=nominal)
    assert position_moves(dataclasses.replace(reconstruction, estimates=estimates)) is None


@pytest.mark.parametrize(
    'residual',
    [
        np.geomspace(0.0588, 0.0436, 24),
        0.0436 + np.geomspace(1e-4, 1e-6, 24),
        np.geomspace(0.03, 0.004, 24),
        np.geomspace(0.9, 0.02, 100),
        np.geomspace(1, 1e-7, 300),
        np.geomspace(5e5, 2e5, 12),
        np.array([0.05]),
        np.full(24, 0.0436),
    ],
)
def test_labels_of_a_residual_do_not_overlap(residual: np.ndarray) -> None:
    _, made = known_reconstruction()
    figure = new_figure(3.7, 3.7)
    axes = figure.subplots()
    changed = dataclasses.replace(made, residual=residual, stages=('solver',) * len(residual))
    draw_residual(axes, changed)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    for axis, limits in ((axes.yaxis, (low, high)), (axes.xaxis, axes.get_xlim())):
        # A tick beyond the axis has a label too, which is not drawn.
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        boxes = [
            tick.label1.get_window_extent()
            for tick in ticks
            if tick.label1.get_text() and limits[0] <= tick.get_loc() <= limits[1]
        ]
        assert len(boxes) > (axis is axes.yaxis and len(residual) > 1)
        for one, other in itertools.pairwise(sorted(boxes, key=lambda box: (box.y0, box.x0))):
            assert not one.overlaps(other)


def test_the_legend_of_the_ring_correlation_covers_no_curve() -> None:
    _, made = known_reconstruction()
    figure = new_figure(2.75, 3.6)
    axes = figure.subplots()
    draw_ring_correlation(axes, known_quality(made.object_canvas.shape))
    figure.draw_without_rendering()
    legend = axes.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    assert not box.overlaps(axes.get_window_extent())
    label = axes.xaxis.label.get_window_extent()
    assert not box.overlaps(label)
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_units_of_colour_bars_touch_no_title() -> None:
    _, made = known_reconstruction()
    view = object_view(made)
    # As wide as four panels of a picture beside each other.
    figure = new_figure(11, 3.6)
    axes = figure.subplots(1, 4)
    draw_network_change(axes[0], np.ones(made.object_canvas.shape, np.float32), view)
    draw_error(axes[1], np.ones(made.object_canvas.shape, np.float32), view, 'rad')
    axes[1].set_title('phase error\nby photon noise', fontsize='medium')
    figure.draw_without_rendering()
    boxes: dict[str, Bbox] = {
        text.get_text(): text.get_window_extent() for text in figure.findobj(Text)
    }
    for unit in ('rad', 'sigma'):
        assert [text for text, box in boxes.items() if boxes[unit].overlaps(box)] == [unit]
