"""A reconstruction as Ptychodus runs it: previews and the result as products."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructOutput

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.hosts.host_tasks import HostTasks
from ptychopinn_plugin.hosts.jobs import Event, run_job
from ptychopinn_plugin.hosts.ptychodus.output_product import build_output_product
from ptychopinn_plugin.hosts.ptychodus.status_pane import log_result
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction, ScanData


@dataclass(eq=False)
class ReconstructionRun:
    """A reconstruction of one scan.

    Attributes:
        engine: reconstructs.
        scan: read from the product.
        product: as Ptychodus passed it.
        inference: iterations, probe update.
        model: the network; None for physics alone.
        tasks: the host.
        total: number of steps planned, until the first step that of the last run.
        on_total: called with the number of steps planned.
    """

    engine: Engine
    scan: ScanData
    product: Product
    inference: InferenceConfig
    model: TrainedModel | None
    tasks: HostTasks
    total: int
    on_total: Callable[[int], None]
    _step: int = 0

    def run(self, preview_seconds: float | None) -> Generator[ReconstructOutput, None, None]:
        """Reconstruct.

        Args:
            preview_seconds: least time between two previews; None for none.

        Yields:
            Previews and last the result, as products.
        """
        result = yield from run_job(
            self._reconstruct, self.tasks, self._to_output, preview_seconds=preview_seconds
        )
        log_result(result)
        yield self._output(result, self.total)

    def _reconstruct(self, monitor: Monitor) -> Reconstruction:
        return self.engine.reconstruct(self.scan, self.inference, self.model, monitor)

    def _to_output(self, event: Event) -> ReconstructOutput | None:
        """Return the product of a preview; None for a step, whose number is kept."""
        if isinstance(event, Reconstruction):
            return self._output(event, self._step)
        self._step, self.total = event.step, event.total
        self.on_total(event.total)
        return None

    def _output(self, reconstruction: Reconstruction, step: int) -> ReconstructOutput:
        product = build_output_product(self.product, self.scan, reconstruction)
        return ReconstructOutput(product, step)
