"""The regression's runs, shared by its tests, and their durations, reported at the end."""

from __future__ import annotations

import pytest

from ptychopinn_plugin.config import Backend
from tests.conftest import BACKENDS
from tests.integration.programs import SETTINGS, Way, go_the_way

DURATION = 'regression'


@pytest.fixture(
    scope='module',
    params=[
        pytest.param((backend, architecture), marks=getattr(pytest.mark, backend), id=name)
        for backend in BACKENDS
        for architecture in SETTINGS
        for name in [f'{backend}-{architecture}']
    ],
)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """Go the whole way with each backend and architecture in turn."""
    backend: Backend
    architecture: str
    backend, architecture = request.param
    return go_the_way(tmp_path_factory.mktemp('first'), backend, architecture, 'object.h5')


@pytest.fixture(scope='module')
def second_way(way: Way, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """Go the same way once more, in another folder, to a file of the other kind."""
    folder = tmp_path_factory.mktemp('second')
    return go_the_way(folder, way.backend, way.architecture, 'object.npz')


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, 'when', '') == 'call'
        for name, value in report.user_properties
        if name == DURATION
    ]
    if lines:
        terminalreporter.section('seconds to train and reconstruct')
        for line in lines:
            terminalreporter.line(line)
