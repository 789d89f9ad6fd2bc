"""From the network's patches to a reconstruction, the same for every backend."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend, InferenceConfig, ModelConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.cnn.architecture import (
    INTENSITY,
    PROBE_IMAG,
    PROBE_REAL,
    patches_of,
)
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.frame_groups import Index
from ptychopinn_plugin.networks.cnn.phase_alignment import turns_of
from ptychopinn_plugin.networks.cnn.predicted_counts import known_part
from ptychopinn_plugin.networks.cnn.split import batches_of, inference_groups
from ptychopinn_plugin.networks.runner import run_reconstruction, stop_check
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.overlap_add import Stitcher
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import Canvas

Patches: TypeAlias = npt.NDArray[np.complex64]
# Returns the patches of a batch and sum (sqrt(expected) - sqrt(counts))^2 of its frames.
Draw: TypeAlias = Callable[[GroupBatch], tuple[Patches, float]]
# Pixels of one channel that a batch has where the user names no number.
BATCH_PIXELS = 2**18


def reconstruct_with_network(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    monitor: Monitor,
    draw: Draw,
    *,
    backend: Backend,
    model: TrainedModel,
    batch_size: int,
) -> Reconstruction:
    """Stitch the network's patches of all groups; physics goes on from there where asked to.

    Args:
        ops: the framework.
        scan: from `with_model_probe`.
        inference: groups, and the passes that follow.
        monitor: hears of every batch and pass.
        draw: the network.
        backend: the framework's name, for the result.
        model: whose network it is.
        batch_size: groups a batch, 0 for a fitting number.

    Raises:
        PatchError: groups cannot be filled.
        Cancelled: the monitor asked for a stop.
    """
    began = time.perf_counter()
    found = network_object(scan, inference, monitor, draw, model=model, batch_size=batch_size)
    passes = inference.model_copy(update={'refine_iterations': inference.cnn_refine_iterations})
    result = run_reconstruction(
        ops, scan, passes, monitor, backend=backend, model=model, initial_object=found
    )
    return dataclasses.replace(result, seconds=time.perf_counter() - began)


def network_object(
    scan: ScanData,
    inference: InferenceConfig,
    monitor: Monitor,
    draw: Draw,
    *,
    model: TrainedModel,
    batch_size: int,
) -> Patches:
    """Return the stitched object on the canvas of a scan, complex64 (H, W), 1 where it is dark."""
    began = time.perf_counter()
    config, check = model.manifest.model, stop_check(monitor)
    drawn_groups = inference_groups(scan.positions_px, config, inference)
    grouped = GroupedScan.of(scan, config, [drawn_groups])
    batch_size = batch_size or max(1, BATCH_PIXELS // scan.frame_size**2)
    parts = batches_of(grouped, drawn_groups, batch_size, np.random.RandomState(0))
    drawn: list[Patches] = []
    misfit = photons = 0.0
    for number, part in enumerate(parts, 1):
        check()
        batch = grouped.batch(part)
        patches, apart = draw(batch)
        drawn.append(patches)
        misfit += apart
        photons += float(np.vdot(batch.amplitudes, batch.amplitudes))
        seconds = time.perf_counter() - began
        monitor.on_progress(
            Progress('network', number, len(parts), misfit / max(photons, 1e-30), None, seconds)
        )
    found = stitched(scan, config, np.concatenate(parts), drawn)
    found *= np.float32(amplitude_factor(model))
    return np.where(np.isfinite(found), found, np.complex64(1))


def stitched(
    scan: ScanData, config: ModelConfig, groups: Index, drawn: Sequence[Patches]
) -> Patches:
    """Return the object of all groups, complex64 (H, W), NaN where none of them lies.

    Each patch is turned as a whole by the phase that fits it to those around it, which its frame
    does not show.

    Args:
        scan: the scan.
        config: of the network.
        groups: int64 (groups, C).
        drawn: complex64 (n, N, N) each, the patches of one group after the other.
    """
    probe = known_part(config, scan.probe)
    stitcher = Stitcher(probe, Canvas.for_scan(scan))
    positions_px = scan.positions_px[groups[:, : patches_of(config)].ravel()]
    turns = turns_of(drawn, positions_px, probe)
    done = 0
    for patches in drawn:
        part = slice(done, done := done + len(patches))
        stitcher.add(patches * turns[part, None, None], positions_px[part])
    return stitcher.result().object_canvas


def amplitude_factor(model: TrainedModel) -> float:
    """Return the factor of the object that a learned factor of the counts stands for."""
    return math.exp(float(model.weights[INTENSITY][0]) / 2) if INTENSITY in model.weights else 1.0


def with_model_probe(scan: ScanData, model: TrainedModel) -> ScanData:
    """Return a scan with the probe that the model was trained with, where it trained one.

    The refined probe is given as many more or fewer photons as the scan's probe has than the one
    that the training began with.

    Raises:
        ModelMismatchError: the model is for frames of another size, or a probe of other modes.
    """
    manifest = model.manifest
    if scan.frame_size != manifest.frame_size:
        raise ModelMismatchError(
            f'the model draws patches of {manifest.frame_size} x {manifest.frame_size} pixels and '
            f'the frames of {scan.source or "the scan"} have {scan.frame_size}; cut or bin them, '
            'or train a model on such frames'
        )
    if not manifest.model.probe_trainable:
        return scan
    if scan.mode_count != len(model.probe):
        raise ModelMismatchError(
            f'the model refined a probe of {len(model.probe)} modes and the probe of '
            f'{scan.source or "the scan"} has {scan.mode_count}; give a probe of as many modes'
        )
    trained = model.weights[PROBE_REAL] + 1j * model.weights[PROBE_IMAG]
    brighter = np.linalg.norm(scan.probe) / max(float(np.linalg.norm(model.probe)), 1e-30)
    return dataclasses.replace(scan, probe=(trained * brighter).astype(np.complex64))
