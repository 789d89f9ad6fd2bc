"""The manifest of a model that is about to be trained."""

from __future__ import annotations

from collections.abc import Sequence

import ptychopinn_plugin
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.config.unused_fields import without_unused
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.model_file import Manifest, data_fingerprint, probe_fingerprint
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import mean_photons


def build_manifest(
    execution: ExecutionConfig,
    model: ModelConfig,
    training: TrainingConfig,
    scans: Sequence[ScanData],
    *,
    frame_size: int = 0,
) -> Manifest:
    """Return the manifest of a model, without the fingerprint of its weights.

    Settings of the other architecture, which had no effect, are not recorded.

    Args:
        execution: backend and device.
        model: the architecture.
        training: losses, epochs, seeds.
        scans: the training data, with the probes that are used.
        frame_size: side that all frames must have; 0 for any.

    Raises:
        ScanDataError: the frames of a scan have another size than the network is for.
    """
    _check_frame_sizes(frame_size, scans)
    return Manifest(
        package_version=ptychopinn_plugin.__version__,
        backend=execution.backend,
        model=without_unused(model, model.architecture),
        training=without_unused(training, model.architecture),
        execution=execution,
        frame_size=scans[0].frame_size,
        pixel_size_m=scans[0].metadata.pixel_size_m,
        photons_per_frame=tuple(mean_photons(scan) for scan in scans),
        probe_fingerprint=probe_fingerprint(scans[0].probe),
        data_fingerprint=data_fingerprint(scans),
    )


def _check_frame_sizes(frame_size: int, scans: Sequence[ScanData]) -> None:
    faults = [
        f'the network is for frames of {frame_size} x {frame_size} pixels, those of '
        f'{scan.source or "a scan"} have {scan.frame_size} a side; cut or bin them'
        for scan in scans
        if frame_size and scan.frame_size != frame_size
    ]
    if faults:
        raise ScanDataError(faults)
