"""Where a reconstruction in Ptychodus keeps its state."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.config import CheckpointConfig
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.checkpoint_archive import scan_fingerprint
from ptychopinn_plugin.scan import ScanData

# Characters of the fingerprint in the name of a file: enough for the scans of a folder.
NAME_LENGTH = 16


def checkpoint_file(config: CheckpointConfig, scan: ScanData) -> Path | None:
    """Return the file for the state of a scan; None where no folder is set.

    The name is made from the scan and its product: their names may be those of others too, and
    change when a window is opened again.

    Raises:
        OutputError: the folder cannot be made.
    """
    if not config.folder:
        return None
    folder = Path(config.folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f'the checkpoint folder {folder} cannot be made: {error.strerror}'
        ) from error
    return folder / f'{scan_fingerprint(scan)[:NAME_LENGTH]}.checkpoint'
