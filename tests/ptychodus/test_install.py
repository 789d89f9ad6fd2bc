"""Every way of installing: does Ptychodus see the plugin, and is nothing left when it goes?

A virtual environment with a Ptychodus of its own borrows all other packages from this one, so that
only two small wheels have to be installed. Building needs the package index, for the build backend.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OWN = ('ptychodus', 'ptychopinn_plugin', '_ptychopinn_plugin', '_editable', '__editable__')
FRAMEWORKS = ('torch', 'tensorflow', 'keras', 'lightning', 'pytorch_lightning')
SHIM = 'ptychodus/plugins/ptychopinn_plugin_bridge.py'

LIST = """
from ptychodus.model import ModelCore
with ModelCore() as model:
    print('listed:', *model.workflow_api.available_reconstructors())
"""


class Environment:
    """A virtual environment.

    Args:
        folder: where it is made.
        borrowed: folder of packages that it may import besides its own.
    """

    def __init__(self, folder: Path, borrowed: Path) -> None:
        venv.create(folder, with_pip=True, symlinks=True)
        self.python = folder / 'bin' / 'python'
        self.site = Path(self.run('-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'))
        (self.site / 'borrowed.pth').write_text(f'{borrowed}\n')

    def run(self, *words: object) -> str:
        command = [str(self.python), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def pip(self, *words: object) -> None:
        self.run('-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-deps', *words)

    def uninstall(self, name: str) -> None:
        self.run('-m', 'pip', 'uninstall', '-q', '-y', name)

    def listed(self, before: str = '') -> bool:
        return 'ptychopinn-plugin_pinn' in self.run('-W', 'ignore', '-c', before + LIST)

    def doctor(self) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), '-m', 'ptychopinn_plugin', 'doctor']
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope='module')
def borrowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with links to all packages but Ptychodus and the plugin."""
    folder = tmp_path_factory.mktemp('borrowed')
    for entry in Path(sysconfig.get_path('purelib')).iterdir():
        if not entry.name.startswith(OWN) and entry.suffix != '.pth':
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (built,) = folder.glob('*.whl')
    return built


def test_a_wheel_holds_the_package_its_types_and_the_shim(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / 'src' / 'ptychopinn_plugin'
    endings = ('py', 'pyi', 'typed', 'safetensors')
    sources = {path for ending in endings for path in package.rglob(f'*.{ending}')}
    wanted = {path.relative_to(package.parent).as_posix() for path in sources} | {SHIM}
    about = {name for name in names if '.dist-info/' in name}
    assert names == wanted | about
    assert {name.rpartition('/')[2] for name in about} == {
        'METADATA', 'RECORD', 'WHEEL', 'LICENSE', 'entry_points.txt'
    }  # fmt: skip


def test_without_a_framework_scans_are_simulated_and_a_reconstruction_is_refused(
    tmp_path: Path, borrowed: Path, wheel: Path
) -> None:
    without = tmp_path / 'borrowed'
    without.mkdir()
    for entry in borrowed.iterdir():
        if not entry.name.startswith(FRAMEWORKS):
            (without / entry.name).symlink_to(entry.resolve())
    environment = Environment(tmp_path / 'env', without)
    environment.pip(wheel)
    program = ('-W', 'error', '-m', 'ptychopinn_plugin')
    assert 'reconstruct' in environment.run(*program, '--help')
    scan = tmp_path / 'scan.npz'
    assert '64 frames' in environment.run(*program, 'simulate', scan, '--rows', 8, '--columns', 8)
    words = f'-m ptychopinn_plugin reconstruct {scan} --output o.npz'.split()
    command = [str(environment.python), *words]
    refused = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert refused.returncode == 1
    assert 'pip install' in refused.stderr
    assert not (tmp_path / 'o.npz').exists()


def test_a_wheel_comes_and_goes(tmp_path: Path, borrowed: Path, wheel: Path) -> None:
    environment = Environment(tmp_path / 'env', borrowed)
    ptychodus = f'ptychodus=={version("ptychodus")}'
    environment.pip(ptychodus)
    before = {path.relative_to(environment.site) for path in environment.site.rglob('*.py')}
    assert not environment.listed()
    environment.pip(wheel)
    assert environment.listed()
    assert environment.doctor().returncode == 0
    environment.pip('--force-reinstall', ptychodus)
    assert environment.listed()
    environment.uninstall('ptychopinn-plugin')
    assert not environment.listed()
    after = {path.relative_to(environment.site) for path in environment.site.rglob('*.py')}
    assert after == before


def test_an_editable_install_is_seen(tmp_path: Path, borrowed: Path) -> None:
    environment = Environment(tmp_path / 'env', borrowed)
    environment.pip(f'ptychodus=={version("ptychodus")}')
    environment.pip('-e', ROOT)
    assert (environment.site / SHIM).is_file()
    assert environment.listed()
    environment.uninstall('ptychopinn-plugin')
    assert not (environment.site / SHIM).exists()


def test_in_a_child_environment_the_launcher_and_install_help(
    tmp_path: Path, borrowed: Path, wheel: Path
) -> None:
    parent = Environment(tmp_path / 'parent', borrowed)
    parent.pip(f'ptychodus=={version("ptychodus")}')
    child = Environment(tmp_path / 'child', borrowed)
    (child.site / 'parent.pth').write_text(f'{parent.site}\n')
    child.pip(wheel)
    assert not child.listed()
    assert child.listed('import ptychopinn_plugin; ptychopinn_plugin.install()\n')
    doctor = child.doctor()
    assert doctor.returncode == 1
    assert 'ptychopinn ptychodus' in doctor.stderr
    launched = child.run('-m', 'ptychopinn_plugin', 'ptychodus', '--version')
    assert 'Ptychodus' in launched
