"""Reconstruction with the published network: batches, patches, stitching, physics passes."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend, InferenceConfig, ModelConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, PartMonitor, Progress
from ptychopinn_plugin.networks.cnn.architecture import corrects, group_frames
from ptychopinn_plugin.networks.cnn.collapse import (
    LEARNT_SHARE,
    LEAST_FRAME_SPREAD,
    frame_spread,
    patch_spread,
)
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.model_probe import amplitude_factor
from ptychopinn_plugin.networks.cnn.phase_alignment import align_phases
from ptychopinn_plugin.networks.cnn.predicted_counts import masked_probe
from ptychopinn_plugin.networks.cnn.split import BatchSequence, batch_groups, inference_groups
from ptychopinn_plugin.networks.cnn.validation import SPREAD_PATCHES
from ptychopinn_plugin.networks.runner import run_reconstruction, stop_check
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.overlap_add import Stitcher
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import Canvas

Patches: TypeAlias = npt.NDArray[np.complex64]
# Pixels of one channel in a batch where the user gives no batch size. Measured on a
# processor: PyTorch's convolutions take 15 % less time in batches of 16 than of 64 frames.
BATCH_PIXELS = 2**16
# As many times larger for a network that corrects patches: its layers have a quarter of the pixels.
CORRECTION_FACTOR = 4


class Prediction(NamedTuple):
    """Output of the network for one batch.

    Attributes:
        patches: complex64 (n, N, N), those of a group next to each other.
        misfit: sum of (sqrt(expected counts) - sqrt(counts))^2 of the frames, at good pixels.
    """

    patches: Patches
    misfit: float


class Predictor(Protocol):
    """A backend's trained network; it knows no scan, all it needs is in the batch."""

    def predict(self, batch: GroupBatch) -> Prediction:
        """Return the patches of a batch and their misfit."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class PatchSet:
    """All patches of a scan.

    Attributes:
        parts: complex64 (some, N, N) each, n patches, batch by batch.
        positions_px: float64 (n, 2), of the patches.
    """

    parts: list[Patches]
    positions_px: npt.NDArray[np.float64]


def reconstruct_with_network(
    ops: Ops,
    scan: ScanData,
    predictor: Predictor,
    inference: InferenceConfig,
    monitor: Monitor,
    *,
    backend: Backend,
    model: TrainedModel,
    batch_size: int,
    early: Stage | None = None,
) -> Reconstruction:
    """Reconstruct a scan from the network's patches, and by physics passes from there.

    Args:
        ops: the framework.
        scan: from `with_model_probe`.
        predictor: the network.
        inference: groups, and the passes that follow.
        monitor: gets the progress after every batch and pass.
        backend: the framework's name, for the result.
        model: the trained model of the predictor.
        batch_size: groups a batch, 0 for an automatic choice.
        early: the learned stage after the second of the passes that follow; None for none.

    Raises:
        PatchError: groups cannot be filled.
        Cancelled: the monitor asked for a stop.
    """
    started = time.perf_counter()
    config = model.manifest.model
    groups = inference_groups(scan.positions_px, config, inference)
    grouped = GroupedScan.from_scan(scan, config, [groups])
    batches = inference_batches(grouped, groups, batch_size)
    after = inference.cnn_refine_iterations
    patches = predict_patches(predictor, batches, PartMonitor(monitor, after=after))
    remark = describe_unlearned(model, scan, patches, batches)
    initial_object = stitch_patches(scan, masked_probe(config, scan.probe), patches)
    initial_object *= np.float32(amplitude_factor(model))
    passes = inference.model_copy(update={'refine_iterations': inference.cnn_refine_iterations})
    if not inference.cnn_refine_iterations:
        # Without passes nothing is estimated beside the network's object.
        passes = passes.model_copy(update={'auto': False, 'update_probe': 'off'})
    seconds = time.perf_counter() - started
    result = run_reconstruction(
        ops,
        scan,
        passes,
        PartMonitor(monitor, before=len(batches)),
        backend=backend,
        model=model,
        early=early,
        # 1, an empty sample, where no patch lies.
        initial_object=np.where(np.isfinite(initial_object), initial_object, np.complex64(1)),
    )
    result = dataclasses.replace(result, seconds=seconds + result.seconds)
    if not remark:
        return result
    # Physics passes may have made a good object of a poor start; without them it is the result.
    if inference.cnn_refine_iterations and not result.warning:
        return dataclasses.replace(result, remarks=(*result.remarks, remark))
    warning = '; '.join(filter(None, (remark, result.warning)))
    return dataclasses.replace(result, warning=warning)


def automatic_batch_size(frame_size: int, model: ModelConfig) -> int:
    """Return how many groups a batch has where the user gives no number."""
    factor = CORRECTION_FACTOR if corrects(model) else 1
    return max(1, factor * BATCH_PIXELS // frame_size**2)


def inference_batches(
    grouped: GroupedScan, groups: npt.NDArray[np.int64], batch_size: int
) -> BatchSequence:
    """Return the batches of all groups, int64 (groups, C); a batch size of 0 is automatic."""
    size = batch_size or automatic_batch_size(grouped.scan.frame_size, grouped.model)
    batches = batch_groups(grouped, groups, size, np.random.RandomState(0))
    return BatchSequence([grouped], [(0, batch) for batch in batches])


def predict_patches(predictor: Predictor, batches: BatchSequence, monitor: Monitor) -> PatchSet:
    """Return the network's patches of all batches.

    Raises:
        Cancelled: the monitor asked for a stop.
    """
    started, check = time.perf_counter(), stop_check(monitor)
    parts: list[Patches] = []
    positions: list[npt.NDArray[np.float64]] = []
    misfit = photons = 0.0
    for number in range(len(batches)):
        check()
        batch = batches[number]
        prediction = predictor.predict(batch)
        parts.append(prediction.patches)
        positions.append(batch.positions_px)
        misfit += prediction.misfit
        photons += float(np.vdot(batch.amplitudes, batch.amplitudes))
        residual, seconds = misfit / max(photons, 1e-30), time.perf_counter() - started
        progress = Progress('network', number + 1, len(batches), residual, None, seconds)
        monitor.on_progress(progress)
    return PatchSet(parts, np.concatenate(positions))


def describe_unlearned(
    model: TrainedModel, scan: ScanData, patches: PatchSet, batches: BatchSequence
) -> str:
    """Return a sentence on a model whose patches do not differ as the frames do, '' for others.

    Args:
        model: that predicted the patches.
        scan: gives the probe.
        patches: of the scan, batch by batch.
        batches: the frames of the patches.
    """
    number, count = 0, 0
    while number < len(batches) and count < SPREAD_PATCHES:
        count += len(patches.parts[number])
        number += 1
    frames = np.concatenate([batches[index].amplitudes for index in range(number)]) ** 2
    expected = frame_spread(frames)
    illumination = np.sum(np.abs(scan.probe) ** 2, axis=0)
    found = patch_spread(
        np.concatenate(patches.parts[:number]),
        illumination,
        group_frames(model.manifest.model),
    )
    if expected < LEAST_FRAME_SPREAD or found >= LEARNT_SHARE * expected:
        return ''
    epochs = len(model.losses)
    return (
        f'the network has not learned to distinguish frames (its patches differ by {found:.0%}, '
        f'the frames by {expected:.0%}) after {epochs} epoch{"" if epochs == 1 else "s"}: train it '
        'for more, 60 or longer'
    )


def stitch_patches(scan: ScanData, probe: npt.NDArray[np.complex64], patches: PatchSet) -> Patches:
    """Return the object of all patches, complex64 (H, W), NaN where none of them lies.

    Each patch is multiplied by the constant phase that fits it to its neighbours; its frame does
    not determine that phase.

    Args:
        scan: gives the canvas.
        probe: complex64 (modes, N, N), whose |probe|^2 weighs the pixels.
        patches: of the scan.
    """
    stitcher = Stitcher(probe, Canvas.for_scan(scan))
    factors = align_phases(patches.parts, patches.positions_px, probe)
    first = 0
    for part in patches.parts:
        rows = slice(first, first := first + len(part))
        stitcher.add(part * factors[rows, None, None], patches.positions_px[rows])
    return stitcher.result().object_canvas
