"""A report opens in a real browser without a network, with its pictures, where one is installed."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ptychopinn_plugin.plotting import save_report
from tests.plotting.test_html_report import complete

ROOT = Path(__file__).parents[2]
BROWSERS = runpy.run_path(str(ROOT / 'docs' / 'check_site.py'))['BROWSERS']
WIDTH, HEIGHT = 1000, 4000


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f'there is no browser, {" or ".join(BROWSERS)}')
    return subprocess.run(
        [
            *(browser, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr'),
            *(
                '--host-resolver-rules=MAP * ~NOTFOUND',
                f'--user-data-dir={page.parent / "profile"}',
            ),
            *options,
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_a_browser_shows_texts_and_pictures_and_complains_of_nothing(tmp_path: Path) -> None:
    page = tmp_path / 'report.html'
    save_report(complete(), page, title='object.h5', comments='made by hand')
    shown = browse(page, '--dump-dom')
    for words in ('object.h5', 'Probably wrong', 'refine_iterations = 5', 'made by hand'):
        assert words in shown.stdout
    shot = tmp_path / 'shot.png'
    seen = browse(
        page, f'--screenshot={shot}', f'--window-size={WIDTH},{HEIGHT}', '--hide-scrollbars'
    )
    # What a page does wrong, or may not load, is reported there.
    assert 'CONSOLE' not in shown.stderr + seen.stderr
    image = imread(shot)[:, :, :3]
    assert image.shape[1] == WIDTH
    # Pictures have colours; text and background have none.
    coloured = np.ptp(image, axis=2).max(axis=1) > 0.3
    assert np.count_nonzero(coloured) > HEIGHT / 4
