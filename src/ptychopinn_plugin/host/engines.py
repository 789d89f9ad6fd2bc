"""The engine between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.engines import engine_class
from ptychopinn_plugin.engines.protocol import Engine

EngineFactory: TypeAlias = Callable[[ExecutionConfig], Engine]


def remote_engine(execution: ExecutionConfig) -> Engine:
    """Return an engine whose work is done by a worker process; this one loads no framework."""
    from ptychopinn_plugin.worker.client import RemoteEngine

    return cast('Engine', RemoteEngine(execution))


def engine_in_this_process(execution: ExecutionConfig) -> Engine:
    """Return an engine that computes here, for scripts and tests.

    Raises:
        BackendUnavailableError: the backend cannot be imported.
    """
    return engine_class(execution.backend)(execution)


class EngineKeeper:
    """Keeps an engine as long as its execution config stays the same."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._kept: tuple[ExecutionConfig, Engine] | None = None

    def get(self, execution: ExecutionConfig) -> Engine:
        """Return the engine of a config, the one of the last run if it was for the same."""
        if self._kept is not None and self._kept[0] == execution:
            return self._kept[1]
        self.close()
        engine = self._factory(execution)
        self._kept = execution, engine
        return engine

    def close(self) -> None:
        """End the engine's worker, where it has one."""
        if self._kept is not None:
            close = getattr(self._kept[1], 'close', None)
            if close is not None:
                close()
        self._kept = None


default_engine: EngineFactory = engine_in_this_process
