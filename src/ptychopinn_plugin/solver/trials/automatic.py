"""What is estimated where the data decide."""

from __future__ import annotations

from typing import Any

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import ScanData

# Modes and drift are tried, and dropped again where the frames do not need them.
TRIED_MODES = 3
TRIED_DRIFT_MODES = 2

AUTOMATIC: dict[str, Any] = {
    'probe_modes': TRIED_MODES,
    'update_flux': True,
    'update_background': True,
    'update_positions': 'auto',
    'stop_early': True,
    'opr_modes': TRIED_DRIFT_MODES,
}
# What a fixed probe leaves nothing to be estimated of, and what is tried.
OF_THE_PROBE = ('probe_modes', 'opr_modes')
# Fewer frames leave a refined probe undecided for longer.
FEW_FRAMES = 200
# Fewer frames do not determine how the probe varies from one to the next: 64 do.
DRIFT_FRAMES = 64
# Passes within which a reconstruction of few frames with a refined probe ends: a quarter of them
# fit amplitudes, and with 24 passes such objects were still far from what the frames determine.
PASSES_FOR_FEW_FRAMES = 48


def resolve_automatic(
    inference: InferenceConfig, *, probe_refined: bool, frames: int, tried: bool = False
) -> InferenceConfig:
    """Return a config with everything to be estimated that `auto` leaves to the data.

    Settings that differ from their defaults are kept: they were asked for.

    Args:
        inference: as given.
        probe_refined: from `refines_probe`.
        frames: of the scan.
        tried: whether the scan continues a reconstruction with `auto`, which has tried what
            OF_THE_PROBE names: what it found is in the scan.
    """
    if not inference.auto:
        return inference
    fields = InferenceConfig.model_fields
    chosen = {
        name: value
        for name, value in AUTOMATIC.items()
        if getattr(inference, name) == fields[name].default
        and ((probe_refined and not tried) or name not in OF_THE_PROBE)
        and (frames >= DRIFT_FRAMES or name != 'opr_modes')
    }
    given = inference.refine_iterations != fields['refine_iterations'].default
    if probe_refined and not tried and frames < FEW_FRAMES and not given:
        chosen['refine_iterations'] = PASSES_FOR_FEW_FRAMES
    return inference.model_copy(update=chosen)


def refines_probe(inference: InferenceConfig, scan: ScanData) -> bool:
    """Return whether the probe is refined.

    Args:
        inference: as given; what it asks for is done.
        scan: where `auto`, a probe that an earlier reconstruction refined stays as it is.
    """
    if inference.update_probe == 'auto':
        return not scan.metadata.probe_is_refined
    return inference.update_probe == 'on'
