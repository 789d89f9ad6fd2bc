"""A small scan on disk, the fake engine in place of the real one, and a way to run commands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
from tests.fake_engine import FakeEngine


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Run(Protocol):
    def __call__(self, *words: object) -> Outcome: ...


@pytest.fixture(scope='session')
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scan') / 'scan.npz'
    save_simulated(path, simulate(SimulationConfig(rows=5, columns=6)))
    return path


@pytest.fixture
def folder(tmp_path: Path, simulated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that commands run in; it holds `scan.npz`."""
    (tmp_path / 'scan.npz').write_bytes(simulated_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """Put the fake engine in the place of PyTorch's."""
    monkeypatch.setattr('ptychopinn_plugin.api.engine_class', lambda _name: FakeEngine)
    monkeypatch.setattr(
        'ptychopinn_plugin.backends.registry._is_installed', lambda name: name == 'pytorch'
    )
    return FakeEngine


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command in this process."""

    def run_words(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_words


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what commands do to the package's logger."""
    package = logging.getLogger('ptychopinn_plugin')
    handlers, propagate, level = package.handlers, package.propagate, package.level
    yield
    package.handlers, package.propagate = handlers, propagate
    package.setLevel(level)
