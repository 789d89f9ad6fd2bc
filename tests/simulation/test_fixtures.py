"""The files under `fixtures/` are what their README says, and can be made again."""

import hashlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

FIXTURES = Path(__file__).parents[2] / 'fixtures'
README = (FIXTURES / 'README.md').read_text()
FILES = sorted(path.name for path in FIXTURES.glob('*.npz'))
CUT = [name for name in FILES if (FIXTURES / name).with_suffix('.json').exists()]
SIMULATED = [name for name in FILES if name not in CUT]


def section(name: str) -> str:
    found = re.search(rf'^## {re.escape(name)}$(.*?)(?=^## |\Z)', README, re.MULTILINE | re.DOTALL)
    assert found, f'fixtures/README.md has no section on {name}'
    return found[1]


def commands(name: str) -> list[list[str]]:
    """Return the words of each command of a file's section."""
    lines = re.findall(r'^ptychopinn (.*)$', section(name), re.MULTILINE)
    assert lines, f'fixtures/README.md has no command for {name}'
    return [shlex.split(line) for line in lines]


def config_of_command(name: str) -> SimulationConfig:
    [[_, output, *flags]] = commands(name)
    assert output == f'fixtures/{name}'
    names = [flag.removeprefix('--').replace('-', '_') for flag in flags[::2]]
    return SimulationConfig.model_validate(dict(zip(names, flags[1::2], strict=True)))


def test_there_is_a_fixture() -> None:
    assert SIMULATED
    assert CUT


@pytest.mark.parametrize('name', FILES)
def test_checksum_is_that_of_the_readme(name: str) -> None:
    digest = hashlib.sha256((FIXTURES / name).read_bytes()).hexdigest()
    assert f'`{digest}`' in section(name)


@pytest.mark.parametrize('name', SIMULATED)
def test_command_of_the_readme_makes_the_file_again(name: str, tmp_path: Path) -> None:
    config = config_of_command(name)
    with np.load(FIXTURES / name, allow_pickle=False) as file:
        kept = SimulationConfig.model_validate(json.loads(file['simulation'].item()))
    assert kept == config
    save_simulated(tmp_path / name, simulate(config))
    assert (tmp_path / name).read_bytes() == (FIXTURES / name).read_bytes()


@pytest.mark.parametrize('name', FILES)
def test_fixture_is_small(name: str) -> None:
    assert (FIXTURES / name).stat().st_size < 1_500_000
