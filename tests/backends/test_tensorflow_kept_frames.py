"""Frames stay on a GPU as far as TensorFlow says that they fit; a GPU is not needed here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.kept_frames import SHARE_FOR_FRAMES
from tests.helpers import make_scan
from tests.solver.scans import Values, object_of, prepared

pytestmark = pytest.mark.tensorflow

PASSES, SIDE, SIZE = 3, 4, 16
FRAME_BYTES = 4 * SIZE**2
TAKEN = 1000
# Of which little is compiled.
SETTINGS: dict[str, Any] = {
    'subsets': 2,
    'update_probe': 'off',
    'noise_model': 'amplitude',
    'object_prior': False,
}


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=SIDE, frame_size=SIZE, step_px=3.0)


def gpu(name: str, frames: float) -> Any:
    """Return a device as TensorFlow lists it, with room for some frames."""
    limit = TAKEN + int(frames * FRAME_BYTES / SHARE_FOR_FRAMES)
    return SimpleNamespace(name=f'/device:{name}', memory_limit=limit)


def has_devices(monkeypatch: pytest.MonkeyPatch, *found: Any) -> None:
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    monkeypatch.setattr(device_lib, 'list_local_devices', lambda: list(found))
    monkeypatch.setattr(
        tf.config.experimental, 'get_memory_info', lambda name: {'current': {'GPU:0': TAKEN}[name]}
    )


def sent_frames(scan: ScanData, passes: int) -> tuple[int, Values]:
    """Return how many frames some passes send to the GPU, and the object."""
    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps

    sent = 0

    class CountingOps(TensorFlowOps):
        def array(self, values: Values) -> Any:
            nonlocal sent
            if values.dtype == np.float32 and values.shape[1:] == (SIZE, SIZE):
                sent += len(values)
            return super().array(values)

    ops = CountingOps('/GPU:0', fused=False)
    ops.batch_pixels = 4 * SIZE**2
    solver = prepared(ops, scan, passes, **SETTINGS)
    return sent, object_of(solver)


def test_each_frame_that_fits_is_sent_once(scan: ScanData, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for frames in (0, 8, SIDE**2):
        has_devices(monkeypatch, gpu('CPU:0', 10**6), gpu('GPU:0', frames))
        found[frames] = sent_frames(scan, PASSES)
    images = [image for _, image in found.values()]
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])
    sent = {frames: count for frames, (count, _) in found.items()}
    assert sent[SIDE**2] == SIDE**2
    # Those that fit are not sent again in the visits after the first one.
    visits = sent[0] / SIDE**2
    assert visits >= PASSES
    assert sent[8] == 8 + (SIDE**2 - 8) * visits


def test_what_is_free_is_the_limit_of_the_device_without_what_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps

    has_devices(monkeypatch, gpu('CPU:0', 10**6), gpu('GPU:0', 3), gpu('GPU:1', 5))
    cpu, gpu_0 = (TensorFlowOps(f'/{name}', fused=False) for name in ('CPU:0', 'GPU:0'))
    assert cpu.free_bytes() == 0
    assert gpu_0.free_bytes() == 3 * FRAME_BYTES / SHARE_FOR_FRAMES
    # A device that TensorFlow does not list keeps no frames.
    has_devices(monkeypatch, gpu('CPU:0', 10**6))
    assert TensorFlowOps('/GPU:0', fused=False).free_bytes() == 0


def test_tensorflow_lists_its_devices_as_it_is_taken_for_granted() -> None:
    from tensorflow.python.client import device_lib

    names = [one.name for one in device_lib.list_local_devices()]
    assert '/device:CPU:0' in names
    assert all(one.memory_limit >= 0 for one in device_lib.list_local_devices())
