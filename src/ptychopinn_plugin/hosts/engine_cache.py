"""The engine between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig

EngineFactory: TypeAlias = Callable[[ExecutionConfig], Engine]


def remote_engine(execution: ExecutionConfig) -> Engine:
    """Return an engine whose work is done by a worker process; this one loads no framework."""
    from ptychopinn_plugin.worker.client import RemoteEngine

    return RemoteEngine(execution)


def engine_in_this_process(execution: ExecutionConfig) -> Engine:
    """Return an engine that computes here, for scripts and tests.

    Raises:
        BackendUnavailableError: the backend cannot be imported.
    """
    return engine_class(execution.backend)(execution)


class EngineKeeper:
    """Keeps an engine between runs, and with it a warm worker."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._kept: tuple[ExecutionConfig, Engine] | None = None

    def get(self, execution: ExecutionConfig) -> Engine:
        """Return the engine of a config: that of the last run, if it can take the config."""
        if self._kept is not None:
            before, engine = self._kept
            if before != execution and hasattr(engine, 'configure'):
                engine.configure(execution)
                before = execution
            if before == execution:
                self._kept = execution, engine
                return engine
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
