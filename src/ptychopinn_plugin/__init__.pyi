# ruff: noqa: TID252  (lazy_loader reads relative imports)
from .api import make_engine, reconstruct, train
from .backends.protocol import Engine
from .config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from .errors import (
    BackendUnavailableError,
    Cancelled,
    CheckpointError,
    CollapseError,
    ConfigError,
    DivergenceError,
    LegacyNameWarning,
    ModelFileError,
    ModelMismatchError,
    OutOfMemoryError,
    OutputError,
    PtychoPINNError,
    ReconstructionError,
    ResultFileError,
    ScanDataError,
    SettingsValueError,
    UnavailableError,
    UnknownBackendError,
)
from .hosts.ptychodus.bridge import install
from .hosts.ptychodus.library_check import check_reconstructor
from .hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from .io.model_file import Manifest, TrainedModel, load_model, save_model
from .io.result_files import load_result, save_reconstruction
from .io.scan_files import load_scan
from .live import LiveReconstruction
from .metrics import Score, score
from .monitor import Monitor, Progress
from .pipeline import PipelineResult, run_pipeline
from .plotting import picture, save_report
from .scan import Reconstruction, ScanData, ScanMetadata, continue_from
from .settings import (
    InferenceRun,
    TrainingRun,
    create_inference_config,
    create_training_config,
    legacy_parameters,
    translate_legacy,
)
from .simulation import SimulatedScan, SimulationConfig, save_simulated, simulate

__version__: str

__all__ = [
    'Backend',
    'BackendUnavailableError',
    'Cancelled',
    'CheckpointError',
    'CollapseError',
    'ConfigError',
    'DivergenceError',
    'Engine',
    'ExecutionConfig',
    'InferenceConfig',
    'InferenceRun',
    'LegacyNameWarning',
    'LiveReconstruction',
    'Manifest',
    'ModelConfig',
    'ModelFileError',
    'ModelMismatchError',
    'Monitor',
    'OrientationConfig',
    'OutOfMemoryError',
    'OutputError',
    'PipelineResult',
    'Progress',
    'PtychoPINNError',
    'PtychoPINNTrainableReconstructor',
    'Reconstruction',
    'ReconstructionError',
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
    'check_reconstructor',
    'continue_from',
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
    'save_report',
    'save_simulated',
    'score',
    'simulate',
    'train',
    'translate_legacy',
]
