"""Outputs that would write over an input, however the two are named."""

import os
from pathlib import Path

import pytest

from ptychopinn_plugin.cli.paths import check_distinct, check_folder
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.io.formats import scan_files
from tests.cli.conftest import Run


def test_links_to_an_input_are_the_input(tmp_path: Path) -> None:
    scan = tmp_path / 'scan.npz'
    scan.write_text('')
    (tmp_path / 'symbolic.npz').symlink_to(scan)
    os.link(scan, tmp_path / 'hard.npz')
    for name in ('symbolic.npz', 'hard.npz', '../' + tmp_path.name + '/scan.npz'):
        with pytest.raises(UsageError, match='is a file that is read'):
            check_distinct([tmp_path / name], [scan])
    check_distinct([tmp_path / 'other.npz', tmp_path / 'another.npz'], [scan])


def test_two_results_do_not_share_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='is named twice'):
        check_distinct([tmp_path / 'a.npz', tmp_path / 'b' / '..' / 'a.npz'], [])


@pytest.mark.parametrize('scan', ['pr', 'pr/diffraction.h5', 'pr/product.h5'])
def test_both_files_of_a_ptychodus_folder_are_inputs(run: Run, folder: Path, scan: str) -> None:
    (folder / 'pr').mkdir()
    for name in ('diffraction.h5', 'product.h5'):
        (folder / 'pr' / name).write_text('as it was')
    shown = run('reconstruct', scan, '--output', 'pr/product.h5')
    assert shown.code == 2
    assert 'pr/product.h5 is named twice, or is a file that is read' in shown.err
    assert (folder / 'pr' / 'product.h5').read_text() == 'as it was'


def test_a_product_that_lies_elsewhere_is_an_input(tmp_path: Path) -> None:
    assert scan_files(tmp_path, tmp_path / 'p.h5')[1] == tmp_path / 'p.h5'
    assert scan_files(tmp_path / 'scan.npz') == (tmp_path / 'scan.npz',)


@pytest.mark.skipif(not Path('/proc/self').is_dir(), reason='there is no /proc')
def test_a_training_folder_is_checked_before_the_work() -> None:
    with pytest.raises(UsageError, match='cannot be written to'):
        check_folder(Path('/proc/self/m-training'))
