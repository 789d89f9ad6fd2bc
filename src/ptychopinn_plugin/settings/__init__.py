"""Settings put together from arguments, files and the data, and those of the research code."""

from ptychopinn_plugin.settings.legacy import legacy_parameters, translate_legacy
from ptychopinn_plugin.settings.resolve import create_inference_config, create_training_config
from ptychopinn_plugin.settings.runs import InferenceRun, TrainingRun

__all__ = [
    'InferenceRun',
    'TrainingRun',
    'create_inference_config',
    'create_training_config',
    'legacy_parameters',
    'translate_legacy',
]
