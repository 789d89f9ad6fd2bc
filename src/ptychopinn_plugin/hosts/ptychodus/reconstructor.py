"""Ptychodus' trainable reconstructor: wires contract, engine and product, computes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ptychodus.api.io import StandardFileLayout
from ptychodus.api.product import LossValue
from ptychodus.api.reconstruct import (
    ReconstructInput,
    ReconstructOutput,
    TrainableReconstructor,
    TrainOutput,
)

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.backends.registry import with_backend
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, ModelMismatchError, OutputError, PtychoPINNError
from ptychopinn_plugin.hosts.engine_cache import EngineFactory, EngineKeeper, remote_engine
from ptychopinn_plugin.hosts.jobs import Job
from ptychopinn_plugin.hosts.ptychodus.output_product import product_of
from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.hosts.ptychodus.training_data import TrainingData, load_training_data
from ptychopinn_plugin.hosts.tasks import HostTasks, NoHost
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_model
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction, ScanData

MODEL_SUFFIX = '.safetensors'
MODEL_FILTER = f'PtychoPINN Model (*{MODEL_SUFFIX})'
TRAINING_DATA_FILTER = 'PtychoPINN Training Data (*.npz)'
# A redraw of a product costs the window of Ptychodus most of a second.
PREVIEW_SECONDS = 4.0

ReadConfigs: TypeAlias = Callable[[], RunConfigs]

package_logger = logging.getLogger('ptychopinn_plugin')


class PtychoPINNTrainableReconstructor(TrainableReconstructor):
    """Reconstructs with a trained network, or by physics alone where none is loaded; trains one.

    Made by the library, it reads the settings of Ptychodus before each run. Made by hand, it takes
    configs:

        reconstructor = PtychoPINNTrainableReconstructor(backend='pytorch')
        *_, last = reconstructor.reconstruct(prepare_reconstruct_input(data, product))
        save_product(path, last.product)

    Attributes:
        works_without_model: True; Infer needs no model.

    Args:
        name: under which Ptychodus lists it.
        backend: 'pytorch' or 'tensorflow'; None takes what `execution` says, or the installed one.
        model: the network to train.
        training: how it is trained.
        inference: how a scan is reconstructed.
        execution: device and threads.
        orientation: how the positions of a scan are turned; its product has the turned ones.
        read_configs: in place of the six before; called at the start of every run.
        engine_factory: makes the engine of an execution config; by default one whose work is done
            by a worker process. An `EngineKeeper` is shared with other reconstructors.
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
        read_configs: ReadConfigs | None = None,
        engine_factory: EngineFactory | EngineKeeper = remote_engine,
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
            )
        )
        self._engines = (
            engine_factory
            if isinstance(engine_factory, EngineKeeper)
            else EngineKeeper(engine_factory)
        )
        self._preview_seconds = preview_seconds
        self._tasks: HostTasks = NoHost()
        self._model: TrainedModel | None = None
        # Ptychodus reads the goal before a run has begun, and hides Stop while it is 0.
        self._progress_goal = 1

    @property
    def name(self) -> str:
        """Name in Ptychodus' list."""
        return self._name

    def connect_host(self, tasks: HostTasks) -> None:
        """Take who is to be asked for a stop and told of progress."""
        self._tasks = tasks

    def close(self) -> None:
        """End the worker process; a later run starts another."""
        self._engines.close()

    def get_progress_goal(self) -> int:
        """Return the steps of the present or last run, at least 1."""
        return self._progress_goal

    def is_model_loaded(self) -> bool:
        """Say whether a trained network will be used."""
        return self._model is not None

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
            ModelFileError: it is not a whole model file.
        """
        with _errors_told():
            self._model = load_model(file_path)
        trained = self._model.manifest
        package_logger.info(
            'Loaded %s: trained by %s on frames of %d pixels, %d epochs',
            file_path,
            trained.backend,
            trained.frame_size,
            len(self._model.losses),
        )

    def save_model(self, file_path: Path) -> None:
        """Write the loaded model to one .safetensors file.

        Raises:
            ModelMismatchError: there is none.
            OutputError: it cannot be written there.
        """
        with _errors_told():
            if self._model is None:
                raise ModelMismatchError('there is no model to save; train one or load one first')
            save_model(file_path, self._model)

    def export_training_data(self, file_path: Path, parameters: ReconstructInput) -> None:
        """Write a scan as a canonical .npz: amplitude, mask, positions, probe, instrument.

        Raises:
            ScanDataError: the scan is not what it should be.
            OutputError: it cannot be written there.
        """
        with _errors_told():
            scan = self._scan_of(parameters, self._configs())
            self._check_training([scan])
            save_npz(file_path, scan)

    def reconstruct(self, parameters: ReconstructInput) -> Iterator[ReconstructOutput]:
        """Reconstruct, with the loaded model if there is one.

        Yields:
            The product as it stands now and then, and last the final one. After a stop there is
            no final one. Closing the iterator stops the run.

        Raises:
            PtychoPINNError: what went wrong, as a sentence that is logged too.
        """
        with _errors_told():
            configs = self._configs()
            scan = self._scan_of(parameters, configs)
            engine, model = self._engines.get(configs.execution), self._model
            # The first run loads a framework: seconds in which nothing else is heard.
            package_logger.info(
                'Reconstructing %d frames with %s', scan.frame_count, configs.execution.backend
            )

            def work(monitor: Monitor) -> Reconstruction:
                return engine.reconstruct(scan, configs.inference, model, monitor)

            def output(reconstruction: Reconstruction, step: int) -> ReconstructOutput:
                update = configs.inference.update_probe
                product = product_of(parameters.product, scan, reconstruction, update_probe=update)
                return ReconstructOutput(product, step)

            step = 0
            with Job(work, self._tasks, preview_seconds=self._preview_seconds) as job:
                for event in job.events():
                    if isinstance(event, Progress):
                        step, self._progress_goal = event.step, event.total
                    else:
                        yield output(event, step)
                result = job.result()
            _tell_result(result)
            yield output(result, self._progress_goal)

    def train(self, input_path: Path, output_path: Path) -> Iterator[TrainOutput]:
        """Train on the scans of a folder; write `model.safetensors` and keep the model loaded.

        Args:
            input_path: an .npz file, or a folder as `load_training_data` reads one.
            output_path: folder of the model, its logs and its checkpoints.

        Yields:
            The losses after every epoch. A stopped training, also one whose iterator is closed,
            writes its best model so far.

        Raises:
            PtychoPINNError: what went wrong, as a sentence that is logged too.
        """
        with _errors_told():
            configs = self._configs()
            self._progress_goal = configs.training.epochs
            yield TrainOutput()
            data = load_training_data(input_path, configs.orientation)
            self._check_training(data.scans)
            engine, file = self._engines.get(configs.execution), _model_path(output_path)

            def work(monitor: Monitor) -> TrainedModel:
                return self._fit(engine, data, configs, monitor, file)

            with Job(work, self._tasks) as job:
                yield from self._epochs(job)
                job.result()
            if data.test is not None and not self._tasks.should_stop():
                self._try_model(engine, data.test, configs)

    def _configs(self) -> RunConfigs:
        """Return the configs of a run that begins."""
        return self._read_configs()

    def _check_training(self, scans: Sequence[ScanData]) -> None:
        """Refuse scans that cannot be trained on; every sound one can be."""

    def _scan_of(self, parameters: ReconstructInput, configs: RunConfigs) -> ScanData:
        source = parameters.product.metadata.name or 'Ptychodus'
        scan = scan_from_input(parameters, source, orientation=configs.orientation)
        for decision in scan.decisions:
            package_logger.warning('%s: %s', scan.source, decision)
        return scan

    def _epochs(self, job: Job[TrainedModel]) -> Generator[TrainOutput, None, None]:
        """Yield the losses so far after every epoch."""
        losses: list[LossValue] = []
        validation: list[LossValue] = []
        for event in job.events():
            if isinstance(event, Reconstruction) or event.validation_loss is None:
                continue
            self._progress_goal = event.total
            losses.append(LossValue(len(losses) + 1, event.loss))
            validation.append(LossValue(len(losses), event.validation_loss))
            package_logger.info(
                'Epoch %d: loss %.4g, validation %.4g, %.1f s',
                len(losses),
                event.loss,
                event.validation_loss,
                event.seconds,
            )
            yield TrainOutput(tuple(losses), tuple(validation), event.step)

    def _fit(
        self,
        engine: Engine,
        data: TrainingData,
        configs: RunConfigs,
        monitor: Monitor,
        file: Path,
    ) -> TrainedModel:
        """Train and save; also what a training that failed had reached."""
        folder = file.with_name(f'{file.stem}-training')
        try:
            model = engine.fit(data.scans, configs.model, configs.training, monitor, folder=folder)
        except PtychoPINNError:
            best = getattr(engine, 'best_model', None)
            if best is not None:
                self._keep(best, file, 'The best model so far is in %s')
            raise
        stopped = monitor.should_stop()
        sentence = 'Stopped; the best model so far is in %s' if stopped else 'The model is in %s'
        self._keep(model, file, sentence)
        return model

    def _keep(self, model: TrainedModel, file: Path, sentence: str) -> None:
        self._model = model
        save_model(file, model)
        package_logger.info(sentence, file)

    def _try_model(self, engine: Engine, scan: ScanData, configs: RunConfigs) -> None:
        """Say how well the new model reconstructs a scan that it was not trained on."""

        def work(monitor: Monitor) -> Reconstruction:
            return engine.reconstruct(scan, configs.inference, self._model, monitor)

        with Job(work, self._tasks) as job:
            result = job.result()
        package_logger.info('%s: residual %.4g', scan.source, result.residual[-1])


def _model_path(folder: Path) -> Path:
    """Return where a model is looked for by a batch reconstruction."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {folder} cannot be made: {error.strerror}') from error
    return folder / f'{StandardFileLayout.MODEL_BASENAME}{MODEL_SUFFIX}'


def _tell_result(result: Reconstruction) -> None:
    package_logger.info(
        'Reconstructed by %s, %s, %d steps in %.2f s, residual %s',
        result.backend,
        f'model {result.model_name[:12]}' if result.model_name else 'physics alone',
        len(result.residual),
        result.seconds,
        f'{result.residual[-1]:.4g}' if len(result.residual) else 'unknown',
    )


@contextmanager
def _errors_told() -> Iterator[None]:
    """Log an error where Ptychodus' status pane shows it: it shows no other.

    A request to stop that was met is no error, and ends the run.
    """
    try:
        yield
    except Cancelled as error:
        sentence = str(error).removeprefix('stopped').lstrip(':; ')
        package_logger.info('Stopped: %s', sentence)
    except PtychoPINNError as error:
        package_logger.error('%s', error)
        raise
    except Exception as error:
        package_logger.error('%s: %s', type(error).__name__, error)
        raise
