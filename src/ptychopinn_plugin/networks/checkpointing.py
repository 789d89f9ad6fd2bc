"""The state of a reconstruction, kept in a file now and then, and taken from it at a resume."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ptychopinn_plugin.config import Backend, InferenceConfig
from ptychopinn_plugin.config.constants import CHECKPOINT_SECONDS
from ptychopinn_plugin.config.limits import ConstraintConfig
from ptychopinn_plugin.errors import CheckpointError, OutputError
from ptychopinn_plugin.io.checkpoint_archive import (
    CheckpointHeader,
    load_checkpoint,
    save_checkpoint,
    scan_fingerprint,
)
from ptychopinn_plugin.io.model_file import TrainedModel, weights_fingerprint
from ptychopinn_plugin.monitor import ForwardingMonitor, Monitor, Resumption
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)

FILE_NAME = 'reconstruction.checkpoint'
# Time between two checkpoints, at least, relative to the time that the last one took: what is
# written costs no more than 2 % where a canvas is large or a disk slow.
LEAST_RATIO = 50.0

# Settings that say when to end, and what is done after the last pass.
OF_THE_END = {
    'refine_iterations',
    'cnn_refine_iterations',
    'stop_early',
    'estimate_errors',
    'closing_stage',
}
# Settings that mean the same in any pass. Others decide what is estimated, and on which canvas.
OF_EACH_PASS = {
    'momentum',
    'object_step',
    'probe_step',
    'object_prior',
    *ConstraintConfig.model_fields,
}


@dataclass(frozen=True)
class Checkpointing:
    """Where and how often the state of a reconstruction is kept.

    Attributes:
        path: the file.
        seconds: least time between two checkpoints; 0 for one after each pass.
        resume: whether to go on from the file, where it is there.
        until_done: for a reconstruction that is to go on if it is interrupted, and not after its
            end: no checkpoint after the last pass, and a file that does not fit is left out of
            account.
    """

    path: Path
    seconds: float = CHECKPOINT_SECONDS
    resume: bool = False
    until_done: bool = False


def checkpoint_header(
    backend: Backend, scan: ScanData, inference: InferenceConfig, model: TrainedModel | None
) -> CheckpointHeader:
    """Return what the state of a reconstruction belongs to; goes through all frames."""
    return CheckpointHeader(
        backend=backend,
        scan=scan_fingerprint(scan),
        model='' if model is None else weights_fingerprint(model),
        inference=inference,
    )


class CheckpointMonitor(ForwardingMonitor):
    """Writes the state now and then; forwards every other call.

    Args:
        monitor: receives every call.
        plan: where and how often.
        make_header: returns what the state belongs to; called once, when it is first needed.

    Attributes:
        plan: where and how often.
    """

    def __init__(
        self, monitor: Monitor, plan: Checkpointing, make_header: Callable[[], CheckpointHeader]
    ) -> None:
        super().__init__(monitor)
        self.plan = plan
        self._make_header = make_header
        self._last = time.monotonic()
        self._cost = 0.0
        self._replaces_own = plan.resume or plan.until_done

    @functools.cached_property
    def _header(self) -> CheckpointHeader:
        return self._make_header()

    def wants_state(self, *, last: bool) -> bool:
        """Return whether the last checkpoint is old enough, or there will be no other."""
        if not self.plan.seconds or (last and not self.plan.until_done):
            return True
        age = time.monotonic() - self._last
        return age >= max(self.plan.seconds, LEAST_RATIO * self._cost)

    def on_state(self, state: SavedState) -> None:
        """Write a checkpoint; one that cannot be written is a warning, the earlier one stays."""
        header, began = self._header, time.monotonic()
        try:
            if not self._replaces_own:
                _set_aside(self.plan.path)
            save_checkpoint(self.plan.path, header, state)
            self._replaces_own = True
        except OutputError as error:
            logger.warning('%s; the reconstruction goes on without this checkpoint', error)
        self._last = time.monotonic()
        self._cost = self._last - began

    def resumption(self) -> Resumption | None:
        """Return the state of the file, where the reconstruction is to go on from it.

        Raises:
            CheckpointError: the file is damaged, or belongs to another reconstruction.
        """
        path = self.plan.path
        if not self.plan.resume:
            return None
        if not path.exists():
            logger.info('There is no checkpoint %s yet: starting from the beginning', path)
            return None
        try:
            header, state = load_checkpoint(path)
            _refuse_other(path, header, self._header)
        except CheckpointError as error:
            if not self.plan.until_done:
                raise
            logger.info('%s; starting from the beginning', error)
            return None
        return Resumption(state, *_changes(header, self._header))


def _refuse_other(path: Path, before: CheckpointHeader, now: CheckpointHeader) -> None:
    """Refuse a checkpoint of another scan or model, or with other fixed settings.

    Raises:
        CheckpointError: it is one.
    """
    anew = 'leave resume away to start anew'
    if before.scan != now.scan:
        raise CheckpointError(
            f'{path} belongs to another scan, or to this one read in another way (positions, '
            f'orientation, probe, mask, background); {anew}'
        )
    if before.model != now.model:
        raise CheckpointError(f'{path} was written with another model; name it again, or {anew}')
    free = OF_THE_END | OF_EACH_PASS
    fixed = [text for name, text in _differences(before, now).items() if name not in free]
    if fixed:
        raise CheckpointError(
            f'{path} was written with other settings, which cannot change in the middle of a '
            f'reconstruction: {", ".join(fixed)}; resume with those of before, and change them in '
            'a reconstruction that continues from its result (continue_from)'
        )


def _changes(before: CheckpointHeader, now: CheckpointHeader) -> tuple[str, bool]:
    """Return which settings differ, '' for none, and whether passes are done differently."""
    found = _differences(before, now)
    passes_differ = any(name in OF_EACH_PASS for name in found)
    if before.backend != now.backend:
        found['backend'] = f'backend {now.backend} instead of {before.backend}'
    return ', '.join(found.values()), passes_differ


def _differences(before: CheckpointHeader, now: CheckpointHeader) -> dict[str, str]:
    """Return the settings that differ, each with both values."""
    pairs = {
        name: (getattr(now.inference, name), getattr(before.inference, name))
        for name in InferenceConfig.model_fields
    }
    return {
        name: f'{name} {new} instead of {old}' for name, (new, old) in pairs.items() if new != old
    }


def _set_aside(path: Path) -> None:
    """Keep the checkpoint of an earlier reconstruction under its name with the time of its end.

    Raises:
        OutputError: the folder cannot be made, or the file cannot be renamed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            ended = datetime.fromtimestamp(path.stat().st_mtime)
            earlier = path.with_name(f'{path.stem}-{ended:%Y%m%d-%H%M%S}{path.suffix}')
            path.replace(earlier)
            logger.info('The checkpoint of an earlier reconstruction is %s now', earlier)
    except OSError as error:
        raise OutputError(f'{path} cannot be written: {error.strerror}') from error
