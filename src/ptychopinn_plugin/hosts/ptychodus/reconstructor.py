"""Ptychodus' trainable reconstructor: connects settings, scans, engine and products."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ptychodus.api.reconstruct import (
    ReconstructInput,
    ReconstructOutput,
    TrainableReconstructor,
    TrainOutput,
)

from ptychopinn_plugin.backends.registry import with_backend
from ptychopinn_plugin.config import (
    Backend,
    CheckpointConfig,
    DetectorConfig,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.config.unused_fields import with_architecture_defaults
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.hosts.engine_cache import EngineCache, EngineFactory
from ptychopinn_plugin.hosts.host_tasks import HostTasks, NoHost
from ptychopinn_plugin.hosts.ptychodus.loaded_model import LoadedModel
from ptychopinn_plugin.hosts.ptychodus.model_files import (
    MODEL_FILTER,
    MODEL_SUFFIX,
    load_and_log,
    model_path,
    save_loaded,
)
from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.hosts.ptychodus.reconstruction_run import ReconstructionRun
from ptychopinn_plugin.hosts.ptychodus.run_description import (
    UsedModel,
    chosen_product,
    describe_settings,
)
from ptychopinn_plugin.hosts.ptychodus.state_file import checkpoint_file
from ptychopinn_plugin.hosts.ptychodus.status_pane import (
    errors_logged,
    in_words_of_ptychodus,
    package_logger,
)
from ptychopinn_plugin.hosts.ptychodus.training_data import (
    export_path,
    load_training_data,
)
from ptychopinn_plugin.hosts.ptychodus.training_run import TrainingRun
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from ptychopinn_plugin.io.scan_files import with_background
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.preflight_log import log_preflight
from ptychopinn_plugin.worker.client import RemoteEngine

TRAINING_DATA_FILTER = 'PtychoPINN Training Data (*.npz)'
# Redrawing a product takes the window of Ptychodus most of a second.
PREVIEW_SECONDS = 4.0

ReadConfigs: TypeAlias = Callable[[], RunConfigs]


class PtychoPINNTrainableReconstructor(TrainableReconstructor):
    """Reconstructs by physics and a trained network, that of the package by default; trains one.

    The library makes it with `read_configs`, which reads the settings of Ptychodus before each run.
    Scripts make it with configs:

        reconstructor = PtychoPINNTrainableReconstructor(backend='pytorch')
        *_, last = reconstructor.reconstruct(prepare_reconstruct_input(data, product))
        save_product(path, last.product)

    Attributes:
        works_without_model: True; Infer needs no model.
        loaded_model: the model that Infer uses, and its file.

    Args:
        name: the name in Ptychodus' list.
        backend: 'pytorch' or 'tensorflow'; None takes that of `execution`, or the installed one.
        model: architecture of the network to train.
        training: epochs, learning rate, seeds.
        inference: iterations, probe update.
        execution: device and threads.
        orientation: rotation and flips of a scan's positions; its product has the changed ones.
        detector: file of a known background.
        checkpoint: folder in which reconstructions keep their state.
        read_configs: in place of the eight before; called at the start of every run.
        engine_factory: makes the engine of an execution config; by default one that computes in a
            worker process. An `EngineCache` is shared with other reconstructors.
        preview_seconds: least time between two outputs before the last one; None for the last one
            alone.
    """

    works_without_model = True

    def __init__(
        self,
        name: str = 'PINN',
        *,
        backend: Backend | None = None,
        model: ModelConfig | None = None,
        training: TrainingConfig | None = None,
        inference: InferenceConfig | None = None,
        execution: ExecutionConfig | None = None,
        orientation: OrientationConfig | None = None,
        detector: DetectorConfig | None = None,
        checkpoint: CheckpointConfig | None = None,
        read_configs: ReadConfigs | None = None,
        engine_factory: EngineFactory | EngineCache = RemoteEngine,
        preview_seconds: float | None = PREVIEW_SECONDS,
    ) -> None:
        super().__init__()
        self._name = name
        self._read_configs = read_configs or (
            lambda: RunConfigs(
                model or ModelConfig(),
                training or TrainingConfig(),
                inference or InferenceConfig(),
                with_backend(execution or ExecutionConfig(), backend),
                orientation or OrientationConfig(),
                detector or DetectorConfig(),
                checkpoint or CheckpointConfig(),
            )
        )
        self._engines = (
            engine_factory
            if isinstance(engine_factory, EngineCache)
            else EngineCache(engine_factory)
        )
        self._preview_seconds = preview_seconds
        self._tasks: HostTasks = NoHost()
        self.loaded_model = LoadedModel()
        # Steps planned. Ptychodus reads it before a run has begun, and hides Stop while it is 0.
        self._progress_goal = 1

    @property
    def name(self) -> str:
        """Name in Ptychodus' list."""
        return self._name

    def connect_host(self, tasks: HostTasks) -> None:
        """Set the host, asked for a stop and informed of the progress."""
        self._tasks = tasks

    def close(self) -> None:
        """End the worker process; a later run starts another."""
        self._engines.close()

    def get_progress_goal(self) -> int:
        """Return the steps of the present or last run, at least 1."""
        return self._progress_goal

    def is_model_loaded(self) -> bool:
        """Return whether a trained network will be used."""
        return self.loaded_model.model is not None

    def get_model_file_filter(self) -> str:
        """Return the filter of the dialogs that open a model."""
        return MODEL_FILTER

    def get_model_file_extension(self) -> str:
        """Return '.safetensors'."""
        return MODEL_SUFFIX

    def get_training_data_file_filter(self) -> str:
        """Return the filter of the dialog that exports training data."""
        return TRAINING_DATA_FILTER

    def load_model_from_file(self, file_path: Path) -> None:
        """Load a model, whichever backend trained it.

        Raises:
            ModelFileError: it is not a complete model file.
        """
        with errors_logged(str(file_path)):
            self.loaded_model.set(load_and_log(file_path), Path(file_path))

    def save_model(self, file_path: Path) -> None:
        """Write the loaded model to one .safetensors file.

        Raises:
            ModelMismatchError: no model is loaded.
            OutputError: it cannot be written there.
        """
        with errors_logged(str(file_path)):
            save_loaded(file_path, self.loaded_model.model)

    def export_training_data(self, file_path: Path, parameters: ReconstructInput) -> None:
        """Write a scan as a canonical .npz: amplitude, mask, positions, probe, instrument.

        Args:
            file_path: the file; '.npz' is added where it is missing.
            parameters: the scan.

        Raises:
            ScanDataError: the scan does not meet the data contract.
            OutputError: it cannot be written there.
        """
        with errors_logged(chosen_product(parameters.product.metadata.name)):
            scan = self._read_scan(parameters, self._configs())
            self._check_training([scan])
            path = export_path(Path(file_path))
            save_npz(path, scan)
            package_logger.info('Training data are in %s', path)

    def reconstruct(self, parameters: ReconstructInput) -> Iterator[ReconstructOutput]:
        """Reconstruct, with the loaded model or that of the package as far as the scan supports it.

        Closing the iterator stops the run.

        Yields:
            Products: previews, and last the result. After a stop there is no result.

        Raises:
            PtychoPINNError: also logged.
        """
        subject = chosen_product(parameters.product.metadata.name)
        with errors_logged(subject):
            configs = self._configs()
            scan = self._read_scan(parameters, configs)
            engine = self._engines.get(configs.execution)
            used = UsedModel.of_run(self.loaded_model, configs)
            package_logger.info(
                'Reconstructing %s: %s, %s, %s; settings: %s',
                subject,
                counted(scan.frame_count, 'frame'),
                backend_display_name(configs.execution.backend),
                f'model {used.describe()}' if used.model else 'physics alone',
                describe_settings(configs),
            )
            log_preflight(scan, package_logger, in_words_of_ptychodus)
            run = ReconstructionRun(
                engine,
                scan,
                parameters.product,
                configs,
                used,
                self._tasks,
                total=self._progress_goal,
                on_total=self._set_progress_goal,
                checkpoint=checkpoint_file(configs.checkpoint, scan),
            )
            yield from run.run(self._preview_seconds)

    def train(self, input_path: Path, output_path: Path) -> Iterator[TrainOutput]:
        """Train on the scans of a folder; write `model.safetensors` and keep the model loaded.

        A stopped training, also one whose iterator is closed, writes its best model so far.

        Args:
            input_path: an .npz file, or a folder as `load_training_data` reads one.
            output_path: folder of the model, its logs and its checkpoints.

        Yields:
            The losses after every epoch.

        Raises:
            PtychoPINNError: also logged.
        """
        with errors_logged(f'training on {input_path}'):
            configs = self._configs()
            self._progress_goal = configs.training.epochs
            yield TrainOutput()
            data = load_training_data(input_path, configs.orientation)
            self._check_training(data.scans)
            for scan in data.scans:
                log_preflight(scan, package_logger, in_words_of_ptychodus)
            run = TrainingRun(
                self._engines.get(configs.execution),
                data,
                configs,
                model_path(output_path),
                self._tasks,
                on_model=self.loaded_model.set,
                on_total=self._set_progress_goal,
            )
            yield from run.run()

    def _configs(self) -> RunConfigs:
        """Return the configs of a run that begins, with the defaults of the architecture."""
        configs = self._settle(self._read_configs())
        training = with_architecture_defaults(configs.training, configs.model.architecture)
        return dataclasses.replace(configs, training=training)

    def _settle(self, configs: RunConfigs) -> RunConfigs:
        """Return configs with what the reconstructor fixes; here that is nothing."""
        return configs

    def _check_training(self, scans: Sequence[ScanData]) -> None:
        """Raise ScanDataError for scans that cannot be trained on; here there are none."""

    def _read_scan(self, parameters: ReconstructInput, configs: RunConfigs) -> ScanData:
        source = chosen_product(parameters.product.metadata.name)
        scan = scan_from_input(parameters, source, orientation=configs.orientation)
        if configs.detector.background_file:
            scan = with_background(scan, Path(configs.detector.background_file).expanduser())
        for decision in scan.decisions:
            package_logger.warning('%s: %s', scan.source, decision)
        return scan

    def _set_progress_goal(self, total: int) -> None:
        self._progress_goal = total
