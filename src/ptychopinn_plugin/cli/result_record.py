"""A reconstruction as JSON for other programs: how good it is, and what was found."""

from __future__ import annotations

import json
import math

import numpy as np

from ptychopinn_plugin.scan import Quality, Reconstruction
from ptychopinn_plugin.scan.network_change import WELL_COVERED, summarize_change
from ptychopinn_plugin.scan.quality import half_period


def result_json(result: Reconstruction, files: dict[str, str]) -> str:
    """Return a reconstruction as JSON text; null where something is not known.

    Args:
        result: the reconstruction.
        files: that were written, by what they hold.
    """
    rows, columns = result.object_canvas.shape
    change = summarize_change(result)
    record = {
        'files': files,
        'backend': result.backend,
        'version': result.version,
        'seconds': result.seconds,
        'frames': len(result.positions_px),
        'object_shape': [rows, columns],
        'pixel_size_m': None if result.pixel_size_m is None else list(result.pixel_size_m),
        'passes': result.iterations,
        'residual': _number(result.residual[-1] if result.residual.size else math.nan),
        'covered_share': float(np.mean(np.isfinite(result.object_canvas))),
        'well_covered_share': float(np.mean(result.coverage > WELL_COVERED)),
        'quality': None if result.quality is None else _quality(result.quality, result),
        'network': {
            'model': result.model_name or None,
            'used': result.network_change is not None,
            'change_rms_sigma': None if change is None else _number(change.rms),
            'share_beyond_3_sigma': None if change is None else _number(change.large),
        },
        'found': list(result.remarks),
        'warning': result.warning or None,
    }
    return json.dumps(record, indent=2, allow_nan=False)


def _quality(quality: Quality, result: Reconstruction) -> dict[str, object]:
    """Return resolution and errors, the medians over pixels that the probe reached well."""
    well = result.coverage > WELL_COVERED
    limits = {'half_bit': quality.half_bit_limit, 'one_bit': quality.one_bit_limit}
    pixel = None if result.pixel_size_m is None else max(result.pixel_size_m)
    return {
        'resolution_px': {name: _number(half_period(each)) for name, each in limits.items()},
        'resolution_m': {
            name: None if pixel is None else _number(half_period(each) * pixel)
            for name, each in limits.items()
        },
        'amplitude_error': _median(quality.amplitude_error[well]),
        'phase_error_rad': _median(quality.phase_error[well]),
        'held_out_misfit': _number(quality.held_out),
    }


def _median(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else None


def _number(value: float) -> float | None:
    """Return a number as JSON has it, None where it is not finite."""
    return float(value) if math.isfinite(value) else None
