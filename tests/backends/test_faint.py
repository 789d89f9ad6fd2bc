"""Training on frames of few photons, on each backend."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.monitor import Monitor
from tests.helpers import make_scan

pytestmark = pytest.mark.slow


def test_a_training_on_twenty_photons_a_frame_gives_a_model_that_works(engine: Engine) -> None:
    scan = make_scan(frame_size=32, side=6, photons=20.0)
    assert scan.counts.sum(axis=(1, 2)).min() < 20
    training = TrainingConfig(epochs=1, steps_per_epoch=2, validation_episodes=1, crop_frames=9)
    model = engine.fit([scan], ModelConfig(width=4, levels=1, blocks=1), training, Monitor())
    assert np.isfinite(model.losses).all()
    inference = InferenceConfig(refine_iterations=3, update_probe='off')
    result = engine.reconstruct(scan, inference, model, Monitor())
    assert np.isfinite(result.residual).all()
    assert np.isfinite(result.object_canvas[result.coverage > 0.1]).all()


def test_less_than_a_photon_a_frame_is_refused_in_the_same_words(engine: Engine) -> None:
    # About half of the frames are empty.
    scan = make_scan(frame_size=32, side=6, photons=1.0)
    training = TrainingConfig(epochs=1, steps_per_epoch=4, validation_episodes=1, crop_frames=8)
    with pytest.raises(ScanDataError, match='photons a frame are too few to train on'):
        engine.fit([scan], ModelConfig(width=4, levels=1, blocks=1), training, Monitor())
