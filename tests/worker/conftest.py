from collections.abc import Iterator

import pytest

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.worker.toy import OPTIONS


@pytest.fixture(scope='module')
def remote() -> Iterator[RemoteEngine]:
    """Give a toy engine in a process of its own; after whatever a test did to it, it works."""
    with toy_engine() as engine:
        yield engine


def toy_engine(idle_seconds: float = 60.0) -> RemoteEngine:
    return RemoteEngine(
        ExecutionConfig(backend='pytorch'), idle_seconds=idle_seconds, worker_options=OPTIONS
    )
