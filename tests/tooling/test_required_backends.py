"""A promised backend may not be skipped: the plugin of `tests/conftest.py`, run in a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / 'conftest.py'
TEST = 'def test_backend(backend):\n    assert backend\n'
BLOCK = 'import sys\nsys.modules["torch"] = sys.modules["tensorflow"] = None\n'


def run_pytest(folder: Path, require: str) -> str:
    (folder / 'conftest.py').write_text(BLOCK + CONFTEST.read_text())
    (folder / 'test_backend.py').write_text(TEST)
    (folder / 'pytest.ini').write_text('[pytest]\nmarkers =\n    pytorch\n    tensorflow\n')
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-ra', '-p', 'no:cacheprovider'],
        cwd=folder,
        env=os.environ | {'PTYCHOPINN_REQUIRE': require},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ('require', 'outcome'),
    [('', '2 skipped'), ('pytorch', '1 skipped, 1 error'), ('pytorch, tensorflow', '2 errors')],
)
def test_missing_backend_skips_unless_required(tmp_path: Path, require: str, outcome: str) -> None:
    output = run_pytest(tmp_path, require)
    assert outcome in output.splitlines()[-1]
    assert 'PyTorch backend selected' in output


def test_unknown_name_in_the_requirement_is_an_error(tmp_path: Path) -> None:
    assert "['torch']" in run_pytest(tmp_path, 'torch')
