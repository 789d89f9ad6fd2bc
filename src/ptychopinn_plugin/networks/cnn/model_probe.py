"""Probe and photon scale that a trained model brings along."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.networks.cnn.architecture import INTENSITY, PROBE_IMAG, PROBE_REAL
from ptychopinn_plugin.scan import ScanData


def amplitude_factor(model: TrainedModel) -> float:
    """Return the factor of the object that corresponds to the trained factor of the counts."""
    return math.exp(float(model.weights[INTENSITY][0]) / 2) if INTENSITY in model.weights else 1.0


def with_model_probe(scan: ScanData, model: TrainedModel) -> ScanData:
    """Return a scan with the probe that was trained with the model, if any.

    The trained probe is scaled by the norm of the scan's probe relative to that of the probe that
    the training began with.

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
    scale = np.linalg.norm(scan.probe) / max(float(np.linalg.norm(model.probe)), 1e-30)
    return dataclasses.replace(scan, probe=(trained * scale).astype(np.complex64))
