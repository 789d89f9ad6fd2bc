"""MLflow's runs in a folder of the training, for every backend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ALLOW = 'MLFLOW_ALLOW_FILE_STORE'


@contextmanager
def runs_in(folder: Path) -> Iterator[str]:
    """Give the address of a folder's runs, for a client to be made meanwhile.

    MLflow would rather have a database, and of late writes files only where the environment says
    so; afterwards that is as it was.
    """
    before = os.environ.get(_ALLOW)
    os.environ[_ALLOW] = 'true'
    try:
        yield f'file:{folder.resolve() / "mlruns"}'
    finally:
        if before is None:
            del os.environ[_ALLOW]
        else:
            os.environ[_ALLOW] = before
