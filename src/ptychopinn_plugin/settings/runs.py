"""All settings of one run."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.config import (
    Config,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)

SECTIONS: dict[str, type[Config]] = {
    'model': ModelConfig,
    'training': TrainingConfig,
    'inference': InferenceConfig,
    'execution': ExecutionConfig,
    'orientation': OrientationConfig,
}
"""The configs by the names of their sections in a file."""


class TrainingRun(Config):
    """Settings and paths of a training.

    Attributes:
        model: the network.
        training: how it is trained.
        execution: backend and device.
        orientation: of the scan axes.
        train_data: the scans' files, none for scans from memory.
        test_data: file of the scan to reconstruct later.
        output: folder or file of the result.
    """

    model: ModelConfig
    training: TrainingConfig
    execution: ExecutionConfig
    orientation: OrientationConfig = OrientationConfig()
    train_data: tuple[Path, ...] = ()
    test_data: Path | None = None
    output: Path | None = None


class InferenceRun(Config):
    """Settings and paths of a reconstruction.

    Attributes:
        model: the network of the model file, None for physics alone.
        training: how it was trained, None for physics alone.
        inference: how the scan is reconstructed.
        execution: backend and device.
        orientation: of the scan axes.
        model_file: the trained model.
        test_data: file of the scan, None for one from memory.
        output: folder or file of the result.
    """

    model: ModelConfig | None
    training: TrainingConfig | None
    inference: InferenceConfig
    execution: ExecutionConfig
    orientation: OrientationConfig = OrientationConfig()
    model_file: Path | None = None
    test_data: Path | None = None
    output: Path | None = None
