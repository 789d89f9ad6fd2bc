"""The table of a batch: as a file for other programs, and as lines for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.cli.batch.tasks import ScanTask
from ptychopinn_plugin.config.flag_names import with_flags

PRINTED = ('scan', 'result', 'seconds', 'residual', 'resolution_px', 'resolution_nm')
COLUMNS = (*PRINTED, 'warning', 'error', 'file')
NOT_DONE = 'not done'

Row = tuple[ScanTask, ScanRecord | None]


def outcome(record: ScanRecord | None) -> str:
    """Return what came of a scan: done, probably wrong, failed or not done."""
    if record is None:
        return NOT_DONE
    return 'probably wrong' if record.warning else record.status


def save_table(path: Path, rows: Sequence[Row]) -> None:
    """Write a table as comma-separated values, one line a scan.

    Raises:
        OutputError: the file cannot be written there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    writer.writerows([cells[name] for name in COLUMNS] for cells in map(_cells, rows))
    with replacing(path) as file:
        file.write(text.getvalue().encode('utf-8', errors='backslashreplace'))


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Return a table as lines of text, then a line for each warning and error."""
    cells = [dict(zip(COLUMNS, COLUMNS, strict=True)), *map(_cells, rows)]
    widths = {name: max(len(row[name]) for row in cells) for name in PRINTED}
    lines = ['  '.join(row[name].ljust(widths[name]) for name in PRINTED).rstrip() for row in cells]
    for row in cells[1:]:
        lines += [
            f'{row["scan"]}: {with_flags(row[kind])}' for kind in ('warning', 'error') if row[kind]
        ]
    return lines


def _cells(row: Row) -> dict[str, str]:
    task, record = row
    return {
        'scan': task.name,
        'result': outcome(record),
        'seconds': _number(record.seconds if record else None, '.1f'),
        'residual': _number(record.residual if record else None, '.4g'),
        'resolution_px': _number(record.resolution_px if record else None, '.3g'),
        'resolution_nm': _number(record.resolution_nm if record else None, '.3g'),
        'warning': record.warning if record else '',
        'error': record.error if record else '',
        'file': str(task.scan),
    }


def _number(value: float | None, form: str) -> str:
    return '' if value is None else format(value, form)
