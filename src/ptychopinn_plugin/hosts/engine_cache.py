"""The engine, kept between jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig

EngineFactory: TypeAlias = Callable[[ExecutionConfig], Engine]


def in_process_engine(execution: ExecutionConfig) -> Engine:
    """Return an engine that computes in this process, for scripts and tests.

    Raises:
        BackendUnavailableError: the backend cannot be imported.
    """
    return engine_class(execution.backend)(execution)


class EngineCache:
    """Keeps one engine, and with it a warm worker and what was compiled.

    Args:
        factory: makes the engine of a config.
    """

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._cached: tuple[ExecutionConfig, Engine] | None = None

    def get(self, execution: ExecutionConfig) -> Engine:
        """Return an engine with a config: the cached one, unless the backend is another."""
        if self._cached is not None:
            before, engine = self._cached
            if before == execution:
                return engine
            if before.backend == execution.backend:
                engine.configure(execution)
                self._cached = execution, engine
                return engine
        self.close()
        engine = self._factory(execution)
        self._cached = execution, engine
        return engine

    def close(self) -> None:
        """Close the cached engine; the next `get` makes another."""
        if self._cached is not None:
            self._cached[1].close()
        self._cached = None
