# ruff: noqa: TID252  (lazy_loader reads relative imports)
from .api import (
    Engine,
    Monitor,
    Progress,
    Reconstruction,
    TrainedModel,
    make_engine,
    reconstruct,
    train,
)
from .config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from .configuring import (
    InferenceRun,
    TrainingRun,
    create_inference_config,
    create_training_config,
    legacy_parameters,
    translate_legacy,
)
from .contract import ScanData, ScanMetadata
from .errors import (
    BackendUnavailableError,
    Cancelled,
    CheckpointError,
    CollapseError,
    ConfigError,
    LegacyNameWarning,
    ModelFileError,
    ModelMismatchError,
    OutputError,
    PtychoPINNError,
    ReconstructionError,
    ResultFileError,
    ScanDataError,
    SettingsValueError,
    UnavailableError,
    UnknownBackendError,
)
from .files import load_scan
from .host.bridge import install
from .host.reconstructor import PtychoPINNTrainableReconstructor
from .metrics import Score, score
from .model_file import Manifest, load_model, save_model
from .pictures import picture
from .pipeline import PipelineResult, run_pipeline
from .results import Result, load_result, save_reconstruction
from .simulation import SimulatedScan, SimulationConfig, save_simulated, simulate

__version__: str

__all__ = [
    'Backend',
    'BackendUnavailableError',
    'Cancelled',
    'CheckpointError',
    'CollapseError',
    'ConfigError',
    'Engine',
    'ExecutionConfig',
    'InferenceConfig',
    'InferenceRun',
    'LegacyNameWarning',
    'Manifest',
    'ModelConfig',
    'ModelFileError',
    'ModelMismatchError',
    'Monitor',
    'OrientationConfig',
    'OutputError',
    'PipelineResult',
    'Progress',
    'PtychoPINNError',
    'PtychoPINNTrainableReconstructor',
    'Reconstruction',
    'ReconstructionError',
    'Result',
    'ResultFileError',
    'ScanData',
    'ScanDataError',
    'ScanMetadata',
    'Score',
    'SettingsValueError',
    'SimulatedScan',
    'SimulationConfig',
    'TrainedModel',
    'TrainingConfig',
    'TrainingRun',
    'UnavailableError',
    'UnknownBackendError',
    'create_inference_config',
    'create_training_config',
    'install',
    'legacy_parameters',
    'load_model',
    'load_result',
    'load_scan',
    'make_engine',
    'picture',
    'reconstruct',
    'run_pipeline',
    'save_model',
    'save_reconstruction',
    'save_simulated',
    'score',
    'simulate',
    'train',
    'translate_legacy',
]
