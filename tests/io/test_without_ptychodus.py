"""Without Ptychodus all but its own files and programs works, and those say what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

ROOT = Path(__file__).parents[2]
BLOCKED = "import sys; sys.modules['ptychodus'] = None\n"


def run_blocked(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, '-c', BLOCKED + code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_scan_is_read_reconstructed_saved_and_drawn(tmp_path: Path) -> None:
    write(tmp_path / 'scan.npz', canonical(make_scan(frame_size=16, side=3)))
    code = """
from pathlib import Path
import ptychopinn_plugin as pp
from tests.fake_engine import FakeEngine

folder = Path(sys.argv[1])
scan = pp.load_scan(folder / 'scan.npz')
engine = FakeEngine(pp.ExecutionConfig(backend='pytorch'))
result = pp.reconstruct(scan, inference=pp.InferenceConfig(refine_iterations=3), engine=engine)
pp.save_reconstruction(folder / 'object.npz', result, scan)
pp.picture(pp.load_result(folder / 'object.npz'), folder / 'object.png')
print(pp.create_inference_config(folder / 'scan.npz').inference.refine_iterations > 0)
"""
    assert run_blocked(code, tmp_path).split() == ['True']
    assert (tmp_path / 'object.png').stat().st_size > 10_000


def test_what_needs_it_names_the_package(tmp_path: Path) -> None:
    write(tmp_path / 'scan.npz', canonical(make_scan(frame_size=16, side=3)))
    with h5py.File(tmp_path / 'product.h5', 'w') as file:
        file['probe'] = np.zeros((1, 1, 16, 16), np.complex64)
    code = """
from pathlib import Path
import ptychopinn_plugin as pp
from ptychopinn_plugin.io.formats import read_frame_size
from tests.io.result_examples import perfect_reconstruction

folder = Path(sys.argv[1])
scan = pp.load_scan(folder / 'scan.npz')
result = perfect_reconstruction(scan, scan.object_guess)
product = folder / 'product.h5'
for use in (
    lambda: pp.load_scan(product),
    lambda: pp.load_scan(folder),
    lambda: pp.load_scan(folder / 'scan.npz', probe=product),
    lambda: pp.load_result(product),
    lambda: pp.save_reconstruction(folder / 'object.h5', result, scan),
    lambda: pp.install,
    lambda: pp.PtychoPINNTrainableReconstructor,
):
    try:
        use()
    except pp.UnavailableError as error:
        print(str(error).count('pip install ptychodus'))
    else:
        print('nothing raised')
print(read_frame_size(product))
"""
    assert run_blocked(code, tmp_path).split() == ['1'] * 7 + ['16']
