"""`ptychopinn fixture`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Fixture
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.cli.scan_loading import files_beside, load
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.fixture import cut_fixture, describe, save_fixture
from ptychopinn_plugin.io.formats import NPZ, find_scan_format


def run(flags: Fixture) -> None:
    """Cut a fixture out of a scan, write it and say what it is."""
    _check_files(flags)
    created = _now()
    scan = load(flags.source, flags, flags.extract(OrientationConfig), true_patches=True)
    fixture = cut_fixture(scan, flags.subset_size)
    save_fixture(flags.output, fixture)
    record = describe(fixture, flags.source, flags.output, created)
    found = record['validation']
    size = fixture.scan.frame_size
    echo(
        f'{flags.output}: {len(fixture.frames)} of {fixture.source_frames} frames of {size} x '
        f'{size} pixels, over {found["spread_fraction_x"]:.0%} of the scan in x and '
        f'{found["spread_fraction_y"]:.0%} in y, amplitudes up to {found["largest_amplitude"]:.4g}'
    )
    echo(f'sha256: {record["result_sha256"]}')
    if flags.metadata_out is not None:
        with replacing(flags.metadata_out) as file:
            file.write((json.dumps(record, indent=2) + '\n').encode())
        echo(f'metadata: {flags.metadata_out}')


def _check_files(flags: Fixture) -> None:
    """Refuse names that will not do, before anything is read."""
    inputs = [flags.source, *files_beside(flags.source, flags)]
    check_writable(flags.output, ('.npz',))
    if flags.metadata_out is not None:
        check_writable(flags.metadata_out, ('.json',))
    check_distinct([flags.output, flags.metadata_out], [check_exists(path) for path in inputs])
    if find_scan_format(flags.source, flags.diffraction_type) is not NPZ:
        raise UsageError(
            f'{flags.source} is no .npz file; a fixture is cut out of one file with its checksum'
        )


def _now() -> datetime:
    """Return the time, or the one that reproducible builds set (reproducible-builds.org)."""
    given = os.environ.get('SOURCE_DATE_EPOCH')
    if given is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f'SOURCE_DATE_EPOCH is {given!r}; it must be a number of seconds since 1970, or unset'
        ) from error
