"""A reconstruction as Ptychodus runs it: previews and the result as products."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructOutput

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.hosts.host_tasks import HostTasks
from ptychopinn_plugin.hosts.jobs import Event, run_job
from ptychopinn_plugin.hosts.ptychodus.output_product import build_output_product
from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.hosts.ptychodus.run_description import (
    UsedModel,
    chosen_product,
    used_lines,
)
from ptychopinn_plugin.hosts.ptychodus.status_pane import log_result, package_logger
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.checkpointing import (
    Checkpointing,
    CheckpointMonitor,
    checkpoint_header,
)
from ptychopinn_plugin.scan import Reconstruction, ScanData


@dataclass(eq=False)
class ReconstructionRun:
    """A reconstruction of one scan.

    Attributes:
        engine: reconstructs.
        scan: read from the product.
        product: as Ptychodus passed it.
        configs: of the run.
        used: the model, or none for physics alone.
        tasks: the host.
        total: number of steps planned, until the first step that of the last run.
        on_total: called with the number of steps planned.
        checkpoint: file of the state, from which the next run goes on; None without one.
    """

    engine: Engine
    scan: ScanData
    product: Product
    configs: RunConfigs
    used: UsedModel
    tasks: HostTasks
    total: int
    on_total: Callable[[int], None]
    checkpoint: Path | None = None
    _step: int = 0
    _step_of_preview: int | None = None

    def run(self, preview_seconds: float | None) -> Generator[ReconstructOutput, None, None]:
        """Reconstruct.

        Args:
            preview_seconds: least time between two previews; None for none.

        Yields:
            Previews and last the result, as products.

        Raises:
            Cancelled: the user requested the stop; it says what the product holds.
        """
        try:
            result = yield from run_job(
                self._reconstruct, self.tasks, self._to_output, preview_seconds=preview_seconds
            )
        except Cancelled as stop:
            raise Cancelled(self._what_is_kept()) from stop
        except GeneratorExit:
            package_logger.info('Stopped: %s', self._what_is_kept())
            raise
        log_result(result, chosen_product(self.product.metadata.name), self.used.describe())
        yield self._output(result, self.total)

    def _reconstruct(self, monitor: Monitor) -> Reconstruction:
        run = self.scan, self.configs.inference, self.used.model
        if self.checkpoint is None:
            return self.engine.reconstruct(*run, monitor)
        plan = Checkpointing(self.checkpoint, resume=True, until_done=True)
        header = partial(checkpoint_header, self.engine.backend, *run)
        result = self.engine.reconstruct(*run, CheckpointMonitor(monitor, plan, header))
        self.checkpoint.unlink(missing_ok=True)
        return result

    def _what_is_kept(self) -> str:
        """Return the sentence for a stop: which object the product has now, and what goes on."""
        kept = f'the product keeps the object of step {self._step_of_preview} of {self.total}'
        if self._step_of_preview is None:
            kept = 'before there was an object to show; the product is as it was'
        if self.checkpoint is not None and self.checkpoint.exists():
            kept += '; another run of the product that this one began with goes on from its state'
        return kept

    def _to_output(self, event: Event) -> ReconstructOutput | None:
        """Return the product of a preview; None for a step, whose number is kept."""
        if isinstance(event, Reconstruction):
            self._step_of_preview = self._step
            return self._output(event, self._step)
        self._step, self.total = event.step, event.total
        self.on_total(event.total)
        return None

    def _output(self, reconstruction: Reconstruction, step: int) -> ReconstructOutput:
        used = used_lines(self.used, self.configs)
        product = build_output_product(self.product, self.scan, reconstruction, used)
        return ReconstructOutput(product, step)
