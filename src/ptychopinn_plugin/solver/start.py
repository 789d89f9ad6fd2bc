"""What is settled by short reconstructions before the first pass: the probe to start from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.saved_state import Stateful
from ptychopinn_plugin.scan import Estimates, ScanData
from ptychopinn_plugin.solver.masked_light import hides_nearly_all, remark
from ptychopinn_plugin.solver.parts.communicator import Communicator, OneProcess
from ptychopinn_plugin.solver.starting_estimates import without_variation
from ptychopinn_plugin.solver.trials.automatic import refines_probe
from ptychopinn_plugin.solver.trials.probe_choice import choose_again, choose_start
from ptychopinn_plugin.solver.trials.probe_start import with_probe_of_frames
from ptychopinn_plugin.solver.trials.probe_trial import refining_gains

NO_PROBE = 'the scan has no probe: its start was estimated from the frames alone'


@dataclass(eq=False)
class Start(Stateful):
    """Whether the probe is refined, and from where.

    Attributes:
        refines: whether it is refined.
        probe: complex64 (modes, N, N), in place of the scan's; None for that.
        remarks: where it comes from, a sentence each.
        is_chosen: whether it was chosen among several starts. Modes of variation belong to the
            probe that they were found with, so that they are left out then.
        reflected: whether the object starts from reflections, see `reflection_start`.
    """

    saved_fields: ClassVar = ('refines', 'probe', 'remarks', 'is_chosen', 'reflected')

    refines: bool = False
    probe: npt.NDArray[np.complex64] | None = None
    remarks: list[str] = dataclasses.field(default_factory=list)
    is_chosen: bool = False
    reflected: bool = False

    def applied(self, scan: ScanData) -> ScanData:
        """Return the scan with the probe to start from.

        With a probe that was refined wrong, positions, flux and variation were too: the scan
        starts from nominal positions without these. A background may have been measured.
        """
        if self.probe is None:
            return scan
        known, estimates, positions = scan.metadata, scan.estimates, scan.positions_px
        if self.is_chosen:
            estimates = without_variation(estimates)
        if self.is_chosen and known.probe_is_refined:
            nominal = estimates.nominal_positions_px
            estimates = Estimates(background=estimates.background)
            positions = positions if nominal is None else nominal
        refined = known.probe_is_refined and not self.is_chosen
        return dataclasses.replace(
            scan,
            probe=self.probe,
            positions_px=positions,
            metadata=dataclasses.replace(known, probe_is_unknown=False, probe_is_refined=refined),
            estimates=estimates,
        )


def find_start(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    check: Callable[[], None],
    communicator: Communicator | None,
) -> Start:
    """Settle whether the probe is refined, and choose where it starts.

    Args:
        ops: the framework.
        scan: the scan.
        inference: as given.
        check: called before every batch; raises to stop the work.
        communicator: of the processes that the scan is divided among; None for this one alone.

    Raises:
        ScanDataError: the scan has no probe, and the settings say not to refine one.
    """
    group = communicator or OneProcess()
    return group.on_first(lambda: _found(ops, scan, inference, check))


def _found(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    check: Callable[[], None],
) -> Start:
    """Return the start as one process finds it."""
    start = Start(_refines(ops, scan, inference, check))
    if hides_nearly_all(scan):
        asked = inference.update_probe != 'auto'
        start.remarks.append(remark(scan, refines=start.refines, asked=asked))
    if scan.metadata.probe_is_unknown:
        scan = with_probe_of_frames(ops, scan, check)
        start.probe = scan.probe
        start.remarks.append(NO_PROBE)
    if not start.refines or _belongs_to_object(scan, inference):
        return start
    # A probe that was refined before is better than a start from the moments of the frames, unless
    # that reconstruction failed or ended early.
    choose = choose_again if scan.metadata.probe_is_refined else choose_start
    chosen = choose(scan, check, ops)
    if chosen is None:
        return start
    start.probe, sentence = chosen
    start.remarks += [sentence] if sentence else []
    start.is_chosen = True
    return start


def _belongs_to_object(scan: ScanData, inference: InferenceConfig) -> bool:
    """Return whether an object to start from was reconstructed with the probe as it is given."""
    known = scan.metadata
    held = not (known.probe_is_refined or known.probe_is_unknown)
    return inference.initial == 'product' and held


def _refines(
    ops: Ops, scan: ScanData, inference: InferenceConfig, check: Callable[[], None]
) -> bool:
    """Return whether the probe is refined."""
    refines = refines_probe(inference, scan)
    if inference.update_probe == 'auto' and _goes_on(scan, inference):
        return True
    doubtful = scan.metadata.probe_is_refined or hides_nearly_all(scan)
    if inference.update_probe == 'auto' and doubtful:
        refines = refining_gains(ops, scan, check)
    if scan.metadata.probe_is_unknown and not refines:
        raise ScanDataError(
            [
                'the scan has no probe, and one that is estimated from the frames must be refined: '
                'take update_probe = on, or give a probe with load_scan(probe=...)'
            ],
            scan.source,
        )
    return refines


def _goes_on(scan: ScanData, inference: InferenceConfig) -> bool:
    """Return whether passes that refined the probe are continued."""
    return inference.initial == 'product' and scan.metadata.history.updates_probe
