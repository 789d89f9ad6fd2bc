"""Typed, frozen configurations; the one place where a field is declared."""

from ptychopinn_plugin.config.architectures import Architecture
from ptychopinn_plugin.config.backend_names import Backend
from ptychopinn_plugin.config.base import Config
from ptychopinn_plugin.config.checkpoint_folder import CheckpointConfig
from ptychopinn_plugin.config.detector import DetectorConfig
from ptychopinn_plugin.config.execution import ExecutionConfig
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.config.inference import InferenceConfig
from ptychopinn_plugin.config.model import ModelConfig
from ptychopinn_plugin.config.orientation import OrientationConfig
from ptychopinn_plugin.config.training import TrainingConfig

__all__ = [
    'Architecture',
    'Backend',
    'CheckpointConfig',
    'Config',
    'DetectorConfig',
    'ExecutionConfig',
    'GroupingConfig',
    'InferenceConfig',
    'ModelConfig',
    'OrientationConfig',
    'TrainingConfig',
]
