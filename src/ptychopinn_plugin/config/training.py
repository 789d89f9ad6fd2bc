"""How a model is trained."""

from ptychopinn_plugin.config.base import Config, setting


class TrainingConfig(Config):
    """Training on the frames' own likelihood; no labels."""

    epochs: int = setting(20, 'Training epochs', ge=1, le=100_000)
    steps_per_epoch: int = setting(
        50, 'Optimiser steps an epoch, each on one crop of one scan', ge=1, le=100_000
    )
    learning_rate: float = setting(2e-3, 'Peak learning rate', gt=0, le=1)
    crop_frames: int = setting(
        144, 'Neighbouring frames in a training crop', ge=8, le=100_000, advanced=True
    )
    validation_fraction: float = setting(
        0.1, 'Share of the scan kept for validation', gt=0, le=0.5, advanced=True
    )
    patience: int = setting(
        10, 'Epochs without improvement before training stops', ge=1, le=100_000
    )
    seed: int = setting(0, 'Seed of every random choice', ge=0, le=2**31 - 1)
