"""Laws of the published network's physics, on NumPy and on every framework."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.predicted_counts import (
    PROBE_MASK_RADIUS,
    Optics,
    Placement,
    blur_transfer,
    masked_probe,
    merge_overlaps,
    patch_weight,
    predicted_counts,
)
from ptychopinn_plugin.physics.constraints import disc
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from tests.frameworks import FRAMEWORKS, MAKERS
from tests.helpers import KnownScan, make_known_scan, make_object, make_probe
from tests.physics.world import Values, relative

SIZE = 32
PLAIN = Optics(None, None)


@pytest.fixture(params=FRAMEWORKS)
def ops(request: pytest.FixtureRequest) -> Ops:
    return MAKERS[request.param]()


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return make_known_scan(frame_size=SIZE, modes=2, noise=False)


def grouped(
    known: KnownScan,
    groups: Values,
    overlap: Literal['batch', 'group'] = 'batch',
    **fields: object,
) -> GroupBatch:
    """Return a batch with the ground truth of the true object."""
    model = ModelConfig.model_validate({'architecture': 'cnn', 'gridsize': 2, **fields})
    scan = dataclasses.replace(known.scan, object_guess=known.ground_truth)
    made = GroupedScan.from_scan(scan, model, [groups], with_ground_truth=True, overlap=overlap)
    return made.batch(groups)


GROUPS = np.array([[0, 1, 5, 6], [12, 13, 17, 11], [24, 23, 19, 18]])


def placed(ops: Ops, batch: GroupBatch) -> Placement:
    assert batch.corners is not None
    assert batch.shares is not None
    return Placement(*(ops.array(one) for one in (batch.shifts_px, batch.corners, batch.shares)))


def counts(
    ops: Ops,
    batch: GroupBatch,
    probe: Values,
    optics: Optics = PLAIN,
    patches: Values | None = None,
) -> Values:
    assert batch.ground_truth is not None
    patches = batch.ground_truth if patches is None else patches
    placement = placed(ops, batch)
    return ops.numpy(
        predicted_counts(
            ops, optics, ops.array(patches), ops.array(probe), placement, batch.canvas_shape
        )
    )


@pytest.mark.parametrize('overlap', ['batch', 'group'])
def test_patches_of_one_object_are_merged_and_cut_to_themselves(
    ops: Ops, known: KnownScan, overlap: Literal['batch', 'group']
) -> None:
    batch = grouped(known, GROUPS, overlap)
    assert batch.ground_truth is not None
    _, corners, shares = placed(ops, batch)
    found = merge_overlaps(ops, ops.array(batch.ground_truth), corners, shares, batch.canvas_shape)
    assert relative(ops.numpy(found), batch.ground_truth) < 1e-6


def test_groups_that_stand_alone_do_not_meet_on_their_canvas(ops: Ops, known: KnownScan) -> None:
    batch = grouped(known, GROUPS, 'group')
    assert batch.ground_truth is not None
    changed = batch.ground_truth.copy()
    changed[4:8] *= 3j
    _, corners, shares = placed(ops, batch)
    found = ops.numpy(merge_overlaps(ops, ops.array(changed), corners, shares, batch.canvas_shape))
    assert relative(found[:4], batch.ground_truth[:4]) < 1e-6
    assert relative(found[4:8], 3j * batch.ground_truth[4:8]) < 1e-6
    assert relative(found[8:], batch.ground_truth[8:]) < 1e-6


def test_single_frames_of_a_batch_share_their_overlap(ops: Ops, known: KnownScan) -> None:
    batch = grouped(known, np.arange(6)[:, None], gridsize=1)
    assert batch.ground_truth is not None
    changed = batch.ground_truth.copy()
    changed[2] += 1
    _, corners, shares = placed(ops, batch)
    found = ops.numpy(merge_overlaps(ops, ops.array(changed), corners, shares, batch.canvas_shape))
    # Neighbours take over a share of the change, and the changed patch keeps no more than its own.
    assert relative(found[1], batch.ground_truth[1]) > 0.1
    assert relative(found[2], changed[2]) > 0.1


def test_a_changed_patch_changes_its_neighbours_by_its_share(known: KnownScan) -> None:
    ops, batch = NumpyOps(), grouped(known, GROUPS[:1])
    assert batch.ground_truth is not None
    assert batch.corners is not None
    assert batch.shares is not None
    changed = batch.ground_truth.copy()
    changed[0] += 1
    found = merge_overlaps(ops, changed, batch.corners, batch.shares, batch.canvas_shape)
    (row, column), (row1, column1) = batch.corners[:2]
    y, x = SIZE // 2 + 3, SIZE // 2 + 2
    moved = (
        found[1, y + row - row1, x + column - column1]
        - batch.ground_truth[1, y + row - row1, x + column - column1]
    )
    assert moved == pytest.approx(batch.shares[0, y, x], rel=1e-4)


def test_true_patches_predict_the_counts(ops: Ops, known: KnownScan) -> None:
    batch = grouped(known, GROUPS)
    assert relative(counts(ops, batch, known.scan.probe), batch.amplitudes**2) < 1e-4


def test_frames_of_their_own_need_no_region(ops: Ops, known: KnownScan) -> None:
    batch = grouped(known, GROUPS, object_big=False)
    assert batch.ground_truth is not None
    assert batch.corners is None
    placement = Placement(ops.array(batch.shifts_px))
    patches, probe = ops.array(batch.ground_truth), ops.array(known.scan.probe)
    found = predicted_counts(ops, PLAIN, patches, probe, placement, batch.canvas_shape)
    own = known.scan.counts[GROUPS[:, 0]]
    assert relative(np.fft.fftshift(ops.numpy(found), axes=(1, 2)), own) < 1e-4


def test_probe_mask_cuts_the_probe_off_outside_its_disc(ops: Ops, known: KnownScan) -> None:
    batch = grouped(known, GROUPS)
    cut = known.scan.probe * disc(SIZE, PROBE_MASK_RADIUS)
    optics = Optics.from_config(ops, ModelConfig(architecture='cnn', probe_mask=True), SIZE)
    found = counts(ops, batch, known.scan.probe, optics)
    assert relative(found, counts(ops, batch, cut)) < 1e-6
    assert relative(found, counts(ops, batch, known.scan.probe)) > 1e-3


def test_disc_has_a_quarter_of_the_frame_as_radius() -> None:
    kept = disc(64, PROBE_MASK_RADIUS)
    assert kept[32, 16] == kept[48, 32] == 1
    assert kept[32, 15] == kept[49, 32] == 0
    assert kept.sum() == pytest.approx(np.pi * 16**2, rel=0.02)


def test_smoothing_blurs_the_exit_wave(ops: Ops, known: KnownScan) -> None:
    from scipy.ndimage import gaussian_filter

    sigma = 1.5
    batch = grouped(known, GROUPS[:1], object_big=False)
    assert batch.ground_truth is not None
    batch = dataclasses.replace(batch, shifts_px=np.zeros_like(batch.shifts_px))
    assert batch.ground_truth is not None
    optics = Optics.from_config(
        ops, ModelConfig(architecture='cnn', gaussian_smoothing_sigma=sigma), SIZE
    )
    waves = known.scan.probe * batch.ground_truth[:, None]
    blurred = gaussian_filter(waves, sigma, mode='wrap', axes=(2, 3))
    wanted = np.sum(np.abs(np.fft.fft2(blurred, norm='ortho')) ** 2, axis=1)
    found = predicted_counts(
        ops,
        optics,
        ops.array(batch.ground_truth),
        ops.array(known.scan.probe),
        Placement(ops.array(batch.shifts_px)),
        batch.canvas_shape,
    )
    assert relative(ops.numpy(found), wanted) < 1e-3
    assert relative(ops.numpy(found), counts_of(known, batch)) > 1e-3


def counts_of(known: KnownScan, batch: GroupBatch) -> Values:
    assert batch.ground_truth is not None
    waves = known.scan.probe * batch.ground_truth[:, None]
    return np.asarray(np.sum(np.abs(np.fft.fft2(waves, norm='ortho')) ** 2, axis=1))


def test_blur_keeps_the_zero_frequency() -> None:
    transfer = blur_transfer(16, 2.0)
    assert transfer[0, 0] == 1
    assert transfer[0, 8] < transfer[0, 1] < 1
    assert np.array_equal(transfer, transfer.T)


@pytest.mark.pytorch
def test_gradient_agrees_with_finite_differences(known: KnownScan) -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    ops, batch = TorchOps(torch.device('cpu')), grouped(known, GROUPS)
    optics = Optics.from_config(
        ops, ModelConfig(architecture='cnn', probe_mask=True, gaussian_smoothing_sigma=0.7), SIZE
    )
    rng = np.random.default_rng(0)
    start = make_object((SIZE, SIZE), 5) * np.ones((12, 1, 1), np.complex64)
    direction = (rng.normal(size=(2, 12, SIZE, SIZE)) * [[[[1]]], [[[1j]]]]).sum(0)
    probe = known.scan.probe / np.linalg.norm(known.scan.probe)
    weight = torch.tensor(rng.random((12, SIZE, SIZE)), dtype=torch.float32)

    def total(patches: torch.Tensor) -> torch.Tensor:
        found = predicted_counts(
            ops, optics, patches, ops.array(probe), placed(ops, batch), batch.canvas_shape
        )
        loss: torch.Tensor = (found * weight).sum()
        return loss

    patches = ops.array(start).requires_grad_()
    torch.autograd.backward(total(patches))
    assert patches.grad is not None
    slope = float((patches.grad.numpy().conj() * direction).real.sum())
    step = 1e-2
    ends = [total(ops.array((start + s * direction).astype(np.complex64))) for s in (step, -step)]
    assert slope == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-3)


def test_masked_probe_leaves_out_what_the_network_does_not_reconstruct() -> None:
    probe = make_probe(SIZE, modes=2)
    quarter = SIZE // 4
    assert np.array_equal(masked_probe(ModelConfig(), probe), probe)
    empty_border = masked_probe(ModelConfig(probe_big=False), probe)
    inner = np.s_[:, quarter:-quarter, quarter:-quarter]
    assert np.array_equal(empty_border[inner], probe[inner])
    assert np.count_nonzero(empty_border) <= 2 * (SIZE // 2) ** 2
    assert np.array_equal(
        masked_probe(ModelConfig(probe_big=False, pad_object=False), probe), probe
    )
    masked = masked_probe(ModelConfig(probe_mask=True), probe)
    assert np.array_equal(masked, probe * disc(SIZE, PROBE_MASK_RADIUS))


def test_patch_weight_is_the_dose_above_a_floor() -> None:
    probe = make_probe(SIZE, modes=2)
    dose = np.sum(np.abs(probe) ** 2, axis=0)
    weight = patch_weight(probe)
    assert (weight > 0).all()
    assert np.allclose(weight - weight.min(), (dose - dose.min()) / dose.max(), atol=1e-6)
    assert np.array_equal(patch_weight(2 * probe), weight)
