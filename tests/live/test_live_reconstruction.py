"""A scan is reconstructed while it is recorded, on both backends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin import LiveReconstruction, reconstruct
from ptychopinn_plugin.backends.protocol import Engine, EngineWithOps
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import PtychoPINNError, ReconstructionError, ScanDataError
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.live.frame_buffer import FrameBuffer
from ptychopinn_plugin.live.live_loop import LiveLoop
from ptychopinn_plugin.live.starting_scan import starting_scan
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.scan import Reconstruction, ScanData, ScanMetadata
from ptychopinn_plugin.scan.canvas import scanned_core
from tests.helpers import KnownScan, make_known_scan

BRIEF = InferenceConfig(refine_iterations=6, estimate_errors=False)
# A compiled framework compiles for each size of batches: for one only.
ONE_SUBSET = BRIEF.model_copy(update={'subsets': 1})
SECONDS = 60.0


@pytest.fixture
def known() -> KnownScan:
    return make_known_scan(side=12, step_px=4.0, photons=1e6, with_guess=False)


@pytest.fixture
def live(engine: Engine, known: KnownScan) -> Iterator[LiveReconstruction]:
    with LiveReconstruction(
        known.scan.probe, engine=engine, inference=BRIEF, model=None
    ) as reconstruction:
        yield reconstruction


def append_late_and_in_any_order(live: LiveReconstruction, scan: ScanData) -> None:
    """Append frames in one order and positions in another, in parts, one frame missing."""
    frames, points = (np.random.default_rng(seed).permutation(scan.frame_count) for seed in (1, 2))
    for some in np.array_split(frames[:-1], 7):
        live.append(scan.counts[some].astype(np.uint32), indices=some)
    for some in np.array_split(points, 5):
        live.append(positions_px=scan.positions_px[some], indices=some)
    assert live.frame_count == scan.frame_count - 1
    assert (live.waiting_frames, live.waiting_positions) == (0, 1)
    np.testing.assert_array_equal(arrived(live), np.sort(frames[:-1]))


def core_error(result: Reconstruction, known: KnownScan) -> float:
    core = scanned_core(known.scan.positions_px, margin=2)
    own = scanned_core(known.scan.positions_px, result.origin_px, margin=2)
    return score(result.object_canvas[own], known.ground_truth[core]).nrmse


def arrived(live: LiveReconstruction) -> npt.NDArray[np.int64]:
    index = live.scan().metadata.scan_index
    assert index is not None
    return index


def test_finish_is_the_batch_reconstruction_of_the_frames_that_came(
    known: KnownScan, engine: Engine
) -> None:
    scan = known.scan
    with LiveReconstruction(scan.probe, engine=engine, inference=ONE_SUBSET, model=None) as live:
        append_late_and_in_any_order(live, scan)
        result = live.finish()
        came = scan.subset(arrived(live))
    batch = reconstruct(came, engine=engine, inference=ONE_SUBSET, model=None)
    np.testing.assert_array_equal(result.positions_px, batch.positions_px)
    np.testing.assert_allclose(result.object_canvas, batch.object_canvas, atol=1e-4)
    np.testing.assert_allclose(result.residual, batch.residual, rtol=1e-4)


def test_the_picture_follows_the_frames(live: LiveReconstruction, known: KnownScan) -> None:
    scan, half = known.scan, known.scan.frame_count // 2
    assert live.current() is None
    live.append(scan.counts[:half], scan.positions_px[:half])
    assert live.wait(SECONDS)
    first = live.current()
    assert first is not None
    assert len(first.positions_px) == half
    # The second half lies below the first, on pixels that the canvas did not have.
    live.append(scan.counts[half:], scan.positions_px[half:])
    assert live.wait(SECONDS)
    for _ in range(6):
        with live._loop.progressed:
            live._loop.progressed.wait(SECONDS / 6)
    result = live.current()
    assert result is not None
    assert result.object_canvas.shape[0] > first.object_canvas.shape[0]
    assert len(result.positions_px) == scan.frame_count
    assert core_error(result, known) < 0.06


def test_frames_at_the_positions_of_others_give_no_such_picture(
    live: LiveReconstruction, known: KnownScan
) -> None:
    """So the error of the test before says that frames have the positions of their own index."""
    scan = known.scan
    order = np.random.default_rng(0).permutation(scan.frame_count)
    live.append(scan.counts, scan.positions_px[order])
    assert live.wait(SECONDS)
    result = live.current()
    assert result is not None
    assert core_error(result, known) > 0.2


def test_late_frames_change_no_pixel_of_the_wrong_place(
    live: LiveReconstruction, known: KnownScan
) -> None:
    append_late_and_in_any_order(live, known.scan)
    assert live.wait(SECONDS)
    for _ in range(5):
        with live._loop.progressed:
            live._loop.progressed.wait(SECONDS / 5)
    result = live.current()
    assert result is not None
    assert core_error(result, known) < 0.08


def test_more_frames_than_a_window_are_all_visited(
    live: LiveReconstruction, known: KnownScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveLoop, 'window_frames', property(lambda _: 40))
    live.append(known.scan.counts, known.scan.positions_px)
    assert live.wait(SECONDS)
    for _ in range(10):
        with live._loop.progressed:
            live._loop.progressed.wait(SECONDS / 10)
    result = live.current()
    assert result is not None
    assert len(result.positions_px) == known.scan.frame_count
    assert core_error(result, known) < 0.1


def test_a_probe_is_refined_from_frames_of_the_whole_scan_only(
    engine: Engine, known: KnownScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveLoop, 'window_frames', property(lambda _: 40))
    scan = known.scan
    buffer = FrameBuffer(scan.frame_size, scan.mask, 2**20)
    buffer.append(scan.counts, scan.positions_px, None)
    assert isinstance(engine, EngineWithOps)
    loop = LiveLoop(buffer, engine, BRIEF, starting_scan(scan.probe, None, None))
    changes = []
    with engine.computing() as ops:
        solver = loop._first_solver(ops)
        for _ in range(6):
            loop._next_pass(solver)
            assert solver.state is not None
            changes.append(float(np.abs(solver.state.probe - scan.probe).max()))
    # Four windows of new frames, which lie side by side, and then earlier ones.
    largest = float(np.abs(scan.probe).max())
    assert max(changes[:4]) < 1e-4 * largest < changes[4]
    assert changes[5] != changes[4]


def test_the_loop_rests_once_the_passes_are_done(
    live: LiveReconstruction, known: KnownScan
) -> None:
    live.append(known.scan.counts, known.scan.positions_px)
    assert live.wait(SECONDS)

    def passes() -> int:
        return 0 if live._loop.state is None else len(live._loop.state.residuals)

    # One over the new frames, and those of the settings.
    expected = BRIEF.refine_iterations + 1
    with live._loop.progressed:
        assert live._loop.progressed.wait_for(lambda: passes() >= expected, SECONDS)
        assert not live._loop.progressed.wait(0.3)
    assert passes() == expected


def test_dark_frames_leave_no_mark(live: LiveReconstruction, known: KnownScan) -> None:
    counts = known.scan.counts.copy()
    counts[::5] = 0
    live.append(counts, known.scan.positions_px)
    assert live.wait(SECONDS)
    result = live.current()
    assert result is not None
    assert core_error(result, known) < 0.1
    assert live.scan().frame_count < known.scan.frame_count


def test_a_probe_of_another_scale_is_scaled_to_the_photons(
    engine: Engine, known: KnownScan
) -> None:
    scan = known.scan
    with LiveReconstruction(100 * scan.probe, engine=engine, inference=BRIEF, model=None) as live:
        live.append(scan.counts, scan.positions_px)
        assert live.wait(SECONDS)
        result = live.current()
    assert result is not None
    assert 0.3 < np.nanmedian(np.abs(result.object_canvas)) < 1.5


def test_a_refined_probe_stays(engine: Engine, known: KnownScan) -> None:
    geometry = ScanMetadata(probe_is_refined=True, pixel_size_m=(1e-8, 2e-8))
    scan = known.scan
    with LiveReconstruction(scan.probe, geometry, engine=engine, inference=BRIEF) as live:
        live.append(scan.counts, scan.positions_px)
        assert live.wait(SECONDS)
        result = live.current()
    assert result is not None
    np.testing.assert_allclose(result.probe, scan.probe, rtol=1e-5)
    assert result.pixel_size_m == (1e-8, 2e-8)


def test_a_live_picture_can_be_saved(
    live: LiveReconstruction, known: KnownScan, tmp_path: object
) -> None:
    live.append(known.scan.counts, known.scan.positions_px)
    assert live.wait(SECONDS)
    result = live.current()
    assert result is not None
    path = f'{tmp_path}/live.npz'
    save_reconstruction(path, result, live.outline(len(result.positions_px)))
    np.testing.assert_array_equal(load_result(path).object_canvas, result.object_canvas)


def test_frames_in_the_temporary_file_and_masked_pixels_are_those_of_the_scan(
    engine: Engine, known: KnownScan
) -> None:
    counts, mask = known.scan.counts.copy(), np.zeros((32, 32), np.bool_)
    mask[3, 5] = True
    counts[:, mask] = 1e9
    with LiveReconstruction(
        known.scan.probe, mask=mask, memory_limit=0, engine=engine, inference=BRIEF
    ) as live:
        live.append(counts.astype(np.uint32), known.scan.positions_px)
        assert live.wait(SECONDS)
        scan, result = live.scan(), live.current()
    np.testing.assert_array_equal(scan.counts[:], np.where(mask, 0, counts))
    np.testing.assert_array_equal(scan.mask, mask)
    np.testing.assert_array_equal(scan.positions_px, known.scan.positions_px)
    assert result is not None
    assert np.nanmax(np.abs(result.object_canvas)) < 1.5


def test_an_error_of_the_passes_is_raised_where_the_picture_is_asked_for(
    live: LiveReconstruction, known: KnownScan
) -> None:
    # Far from all others: no canvas holds both.
    positions = known.scan.positions_px.copy()
    positions[7] += 5e7
    live.append(known.scan.counts, positions)
    with pytest.raises(ReconstructionError, match='positions are in object pixels'):
        live.wait(SECONDS)
    with pytest.raises(PtychoPINNError):
        live.current()


def test_after_the_end_nothing_is_taken(live: LiveReconstruction, known: KnownScan) -> None:
    live.close()
    live.close()
    with pytest.raises(ScanDataError, match='is closed'):
        live.append(known.scan.counts, known.scan.positions_px)
    with pytest.raises(ScanDataError, match='no frame with a position yet'):
        live.finish()


def test_its_thread_ends_where_it_is_dropped(engine: Engine, known: KnownScan) -> None:
    before = threading.active_count()
    live = LiveReconstruction(known.scan.probe, engine=engine)
    live.append(known.scan.counts, known.scan.positions_px)
    assert threading.active_count() == before + 1
    del live
    gc.collect()
    assert threading.active_count() == before


def test_probe_and_mask_are_checked(engine: Engine, known: KnownScan) -> None:
    size = known.scan.frame_size
    with pytest.raises(ScanDataError, match='probe must have shape'):
        LiveReconstruction(np.ones((3, 4)), engine=engine)
    with pytest.raises(ScanDataError, match='probe is zero everywhere'):
        LiveReconstruction(np.zeros((size, size)), engine=engine)
    with pytest.raises(ScanDataError, match='mask must have the shape of a frame'):
        LiveReconstruction(known.scan.probe, mask=np.zeros((3, 3), np.bool_), engine=engine)
    with pytest.raises(TypeError, match='not both'):
        LiveReconstruction(known.scan.probe, engine=engine, backend=engine.backend)
