"""MLflow runs in the folder of a training, for every backend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ALLOW = 'MLFLOW_ALLOW_FILE_STORE'


@contextmanager
def runs_in(folder: Path) -> Iterator[str]:
    """Yield the tracking URI of a folder, for a client to be built within the context.

    MLflow prefers a database; recent versions write files only where an environment variable
    allows it. The variable is restored afterwards.
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
