"""A training as Ptychodus runs it: epochs as outputs, the model in a file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from ptychodus.api.product import LossValue
from ptychodus.api.reconstruct import TrainOutput

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config.wording import duration
from ptychopinn_plugin.errors import Cancelled, OutputError, PtychoPINNError
from ptychopinn_plugin.hosts.host_tasks import HostTasks, WithoutProgress
from ptychopinn_plugin.hosts.jobs import Event, run_job
from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.hosts.ptychodus.status_pane import package_logger
from ptychopinn_plugin.hosts.ptychodus.training_data import TrainingData
from ptychopinn_plugin.io.model_file import TrainedModel, save_trained_model
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor, Progress
from ptychopinn_plugin.plotting.training_figure import training_picture, training_picture_path
from ptychopinn_plugin.scan import Reconstruction, ScanData


@dataclass(eq=False)
class TrainingRun:
    """A training of one model.

    Attributes:
        engine: trains.
        data: the scans.
        configs: of the run.
        file: of the model; logs and checkpoints go to a folder beside it.
        tasks: the host.
        on_model: called with the model to use from now on and its file, also after a stop or a
            failure.
        on_total: called with the number of steps planned.
    """

    engine: Engine
    data: TrainingData
    configs: RunConfigs
    file: Path
    tasks: HostTasks
    on_model: Callable[[TrainedModel, Path], None]
    on_total: Callable[[int], None]
    _is_saved: bool = False
    _seconds: float = 0.0
    _losses: list[LossValue] = field(default_factory=list)
    _validation: list[LossValue] = field(default_factory=list)

    def run(self) -> Generator[TrainOutput, None, None]:
        """Train, save the model, try it on the test scan.

        Yields:
            The losses so far after every epoch.
        """
        try:
            model = yield from run_job(self._fit, self.tasks, self._to_output)
        except Cancelled as stop:
            if self._is_saved:
                raise
            raise Cancelled(self._no_model()) from stop
        except GeneratorExit:
            if not self._is_saved:
                package_logger.info('Stopped: %s', self._no_model())
            raise
        self._draw(model)
        if self.data.test is not None and not self.tasks.should_stop():
            yield from self._reconstruct_test_scan(model, self.data.test)

    def _fit(self, monitor: Monitor) -> TrainedModel:
        """Train and save; save the best model so far also if the training fails."""
        best = BestModelMonitor(monitor)
        folder = self.file.with_name(f'{self.file.stem}-training')
        configs = self.configs
        try:
            model = self.engine.fit(
                self.data.scans, configs.model, configs.training, best, folder=folder
            )
        except PtychoPINNError:
            if best.best_model is not None:
                self._save(best.best_model, 'The best model so far is in %s')
            raise
        stopped = monitor.should_stop()
        sentence = 'Stopped; the best model so far is in %s' if stopped else 'The model is in %s'
        self._save(model, sentence)
        return model

    def _save(self, model: TrainedModel, sentence: str) -> None:
        self._is_saved = True
        self.on_model(model, self.file)
        save_trained_model(self.file, model)
        package_logger.info(sentence, self.file)

    def _draw(self, model: TrainedModel) -> None:
        """Write the picture of the training beside the model."""
        report = training_picture_path(self.file)
        try:
            training_picture(model, report, title=self.file.name)
        except OutputError as error:
            # The model is what counts, and it is there.
            package_logger.warning('%s', error)
        else:
            package_logger.info('A picture of the training is in %s', report)

    def _no_model(self) -> str:
        """Return the sentence for a stop before the first epoch was done."""
        kept = f'; {self.file} stays as it was' if self.file.exists() else ''
        return f'before the end of the first epoch, so there is no new model{kept}'

    def _to_output(self, event: Event) -> TrainOutput | None:
        """Return the losses so far after an epoch; None for a step within one."""
        if not isinstance(event, Progress) or event.validation_loss is None:
            return None
        self.on_total(event.total)
        epoch = len(self._losses) + 1
        self._losses.append(LossValue(epoch, event.loss))
        self._validation.append(LossValue(epoch, event.validation_loss))
        package_logger.info(
            'Epoch %d: loss %.4g, validation %.4g, %.1f s%s',
            epoch,
            event.loss,
            event.validation_loss,
            event.seconds - self._seconds,
            f'; about {duration(event.seconds_left)} to come' if event.seconds_left else '',
        )
        self._seconds = event.seconds
        return TrainOutput(tuple(self._losses), tuple(self._validation), event.step)

    def _reconstruct_test_scan(
        self, model: TrainedModel, scan: ScanData
    ) -> Generator[TrainOutput, None, None]:
        """Log the residual of the new model on a scan that it was not trained on."""

        def work(monitor: Monitor) -> Reconstruction:
            return self.engine.reconstruct(scan, self.configs.inference, model, monitor)

        def no_output(_: Event) -> None:
            return None

        # Its steps are not those of the training, which the progress bar shows.
        result = yield from run_job(work, WithoutProgress(self.tasks), no_output)
        package_logger.info('%s: residual %.4g', scan.source, result.residual[-1])
