"""`ptychopinn batch`."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ptychopinn_plugin.cli.batch.cluster import load_config, run_on_cluster
from ptychopinn_plugin.cli.batch.processes import run_in_processes, share_of_threads
from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.cli.batch.scan_list import find_scans, result_names
from ptychopinn_plugin.cli.batch.scan_worker import ScanWorker
from ptychopinn_plugin.cli.batch.table import outcome, save_table, table_lines
from ptychopinn_plugin.cli.batch.tasks import ScanTask, settings_text
from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Batch
from ptychopinn_plugin.cli.paths import check_exists, check_folder
from ptychopinn_plugin.cli.run_settings import inference_run
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.model_names import MODEL_NAMES
from ptychopinn_plugin.errors import BatchError, Cancelled, ModelMismatchError, ScanDataError
from ptychopinn_plugin.io.model_file import TrainedModel, resolve_model, weights_fingerprint
from ptychopinn_plugin.settings import InferenceRun

logger = logging.getLogger(__name__)


def run(flags: Batch) -> None:
    """Reconstruct many scans; print and write a table of the results."""
    tasks, settings = _prepare(flags)
    records = {task: task.finished_record(flags) for task in tasks}
    waiting = [task for task, record in records.items() if record is None]
    if len(waiting) < len(tasks):
        logger.info('%d of %d scans are done already', len(tasks) - len(waiting), len(tasks))
    table = flags.output / _table_name(flags.part)
    save_table(table, list(records.items()))
    with CommandMonitor(quiet=True) as monitor, on_interrupt(monitor.request_stop):
        for task, record in _reconstruct(waiting, flags, settings, monitor):
            records[task] = record
            save_table(table, list(records.items()))
            left = sum(one is None for one in records.values())
            logger.info('%s: %s; %d left', task.name, record.error or outcome(record), left)
    for line in table_lines(list(records.items())):
        echo(line)
    echo(f'table: {table}')
    _report(list(records.values()), stopped=monitor.stopped)


def _prepare(flags: Batch) -> tuple[list[ScanTask], InferenceRun | None]:
    """Return what is to be done, and the settings; None where no scan can be read.

    Raises:
        UsageError: a path or a part is wrong.
        ConfigError: a setting is wrong.
    """
    model_file = None if str(flags.model) in MODEL_NAMES else flags.model
    for path in (
        model_file, flags.probe, flags.product, flags.background, flags.mask, flags.parsl
    ):  # fmt: skip
        if path is not None:
            check_exists(path)
    if flags.parsl is not None and flags.jobs > 1:
        raise UsageError(
            '--jobs are processes of this machine; how many there are on a cluster is in the '
            'file of --parsl'
        )
    scans = find_scans(flags.scan)
    _check_output(flags.output, scans)
    named = list(zip(result_names(scans), scans, strict=True))
    tasks = [
        ScanTask(name, scan, flags.output, flags.file_type)
        for name, scan in _part(named, flags.part)
    ]
    model = resolve_model(flags.model)
    settings = _settings(tasks, flags, model)
    weights = '' if model is None else weights_fingerprint(model)
    text = '' if settings is None else settings_text(settings, flags, weights)
    flags.output.mkdir(parents=True, exist_ok=True)
    return [dataclasses.replace(task, settings=text) for task in tasks], settings


def _check_output(folder: Path, scans: Sequence[Path]) -> None:
    """Refuse a folder that scans lie in, where files beside them would be overwritten."""
    check_folder(folder)
    used = {scan.resolve() if scan.is_dir() else scan.resolve().parent for scan in scans}
    if folder.resolve() in used:
        raise UsageError(
            f'{folder} has scans in it; give the results a folder of their own, such as '
            f'{folder / "results"}'
        )


def _settings(
    tasks: Sequence[ScanTask], flags: Batch, model: TrainedModel | None
) -> InferenceRun | None:
    """Return the settings of all scans, which the first one that can be read shows."""
    for task in tasks:
        try:
            return inference_run(task.flags(flags), model)
        except (ScanDataError, ModelMismatchError):
            continue  # the worker says so in the scan's record
    return None


def _reconstruct(
    tasks: Sequence[ScanTask], flags: Batch, settings: InferenceRun | None, monitor: CommandMonitor
) -> Iterator[tuple[ScanTask, ScanRecord]]:
    """Yield the scans with their records, until a stop is asked for."""
    execution = flags.execution() if settings is None else settings.execution
    if flags.parsl is not None:
        if tasks:
            config = load_config(flags.parsl)
            yield from run_on_cluster(tasks, config, flags, execution, monitor.should_stop)
        return
    if flags.jobs > 1:
        shared = share_of_threads(execution, flags.jobs)
        yield from run_in_processes(tasks, flags.jobs, flags, shared, monitor.should_stop)
        return
    worker = ScanWorker(flags, execution)
    for task in tasks:
        if monitor.stopped:
            return
        try:
            yield task, worker.run(task, monitor)
        except Cancelled:
            return


def _report(records: Sequence[ScanRecord | None], *, stopped: bool) -> None:
    """Raise what the exit code says.

    Raises:
        Cancelled: a stop was asked for before the last scan was done.
        BatchError: a scan failed.
    """
    counts = Counter(outcome(record) for record in records)
    summary = ', '.join(f'{count} {name}' for name, count in sorted(counts.items()))
    again = 'run the same command again for the others'
    if stopped and None in records:
        raise Cancelled(f'interrupted ({summary}); {again}')
    if counts['failed']:
        raise BatchError(f'{counts["failed"]} of {len(records)} scans failed; {again}')


def _part(named: list[tuple[str, Path]], part: str | None) -> list[tuple[str, Path]]:
    """Return the scans of one of several parts of the list."""
    if part is None:
        return named
    index, count = map(int, part.split('/'))
    if index > count:
        raise UsageError(f'--part {part}: there is no part {index} of {count}')
    return named[index - 1 :: count]


def _table_name(part: str | None) -> str:
    return 'table.csv' if part is None else f'table-{part.replace("/", "-of-")}.csv'
