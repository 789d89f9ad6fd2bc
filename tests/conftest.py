"""One fixture runs every engine test on every backend.

A backend that cannot be imported is skipped, with the reason shown, unless `PTYCHOPINN_REQUIRE`
names it (a comma list): a machine that promised a backend may not skip it.
"""

import functools
import logging
import os
from collections.abc import Iterator
from typing import get_args

import hypothesis
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import Backend, ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError
from ptychopinn_plugin.worker.environment import THREAD_SPIN_LIMIT

BACKENDS: tuple[Backend, ...] = get_args(Backend)

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile('without deadline', deadline=None)
hypothesis.settings.load_profile('without deadline')


def required_backends() -> frozenset[str]:
    names = os.environ.get('PTYCHOPINN_REQUIRE', '').split(',')
    required = frozenset(name.strip() for name in names if name.strip())
    unknown = required - set(BACKENDS)
    if unknown:
        raise pytest.UsageError(f'PTYCHOPINN_REQUIRE names {sorted(unknown)}, not of {BACKENDS}')
    return required


def why_unavailable(backend: str) -> str:
    """Return '' for a backend that can be used, else the reason."""
    try:
        engine_class(backend)
    except BackendUnavailableError as error:
        return str(error)
    return ''


def require_backend(backend: str) -> None:
    reason = why_unavailable(backend)
    if reason and backend in required_backends():
        pytest.fail(f'PTYCHOPINN_REQUIRE names {backend}: {reason}', pytrace=False)
    if reason:
        pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    required_backends()
    # As in the worker, and before a framework is loaded: spinning threads on a busy machine make
    # a test of two seconds one of half a minute.
    for name, value in THREAD_SPIN_LIMIT.items():
        os.environ.setdefault(name, value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests of whole programs and trainings that TensorFlow shares with PyTorch as long.

    They take minutes in all; continuous integration runs them with PyTorch, `make test-long` with
    TensorFlow.
    """
    names = {item.nodeid for item in items}
    for item in items:
        twin = item.nodeid.replace('tensorflow', 'pytorch')
        numerics = item.path.parent.name in ('solver', 'networks')
        shared = twin != item.nodeid and twin in names and not numerics
        if shared and item.get_closest_marker('slow'):
            item.add_marker(pytest.mark.long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for backend in BACKENDS:
        if item.get_closest_marker(backend) is not None:
            require_backend(backend)


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Name each backend in turn; its mark skips or fails the test where it is missing."""
    name: Backend = request.param
    return name


@functools.cache
def shared_engine(backend: Backend) -> Engine:
    """Return one engine a backend for all tests, on the CPU and repeatable; it stays compiled."""
    execution = ExecutionConfig(
        backend=backend, accelerator='cpu', deterministic=True, logger='none'
    )
    return engine_class(backend)(execution)


@pytest.fixture
def engine(backend: Backend) -> Engine:
    """Give the engine of each backend in turn."""
    return shared_engine(backend)


@pytest.fixture(autouse=True, scope='module')
def logging_as_before_the_module() -> Iterator[None]:
    """Undo what commands do to the package's logger."""
    package = logging.getLogger('ptychopinn_plugin')
    handlers, propagate, level = [*package.handlers], package.propagate, package.level
    yield
    package.handlers, package.propagate = handlers, propagate
    package.setLevel(level)
