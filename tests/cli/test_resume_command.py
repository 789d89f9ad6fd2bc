"""Checkpoints and --resume of the commands, on a real engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.cli.console import CommandMonitor
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.monitor import Progress
from tests.cli.conftest import Run

pytestmark = pytest.mark.pytorch
RECONSTRUCT = ('reconstruct', 'scan.npz', '--backend', 'pytorch', '--model', 'none')
SHORT = ('--no-estimate-errors', '--refine-iterations', 8)


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C after a step."""

    def on_progress(monitor: CommandMonitor, progress: Progress) -> None:
        if progress.step == step:
            monitor.request_stop()

    monkeypatch.setattr(CommandMonitor, 'on_progress', on_progress)


def test_an_interrupted_reconstruction_goes_on(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = ('--checkpoint', 'state', '--checkpoint-seconds', 0)
    shown = run(*RECONSTRUCT, *SHORT, '--output', 'whole.npz')
    assert shown.code == 0, shown.err
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        shown = run(*RECONSTRUCT, *SHORT, '--output', 'o.npz', *keeping)
    assert shown.code == 130
    assert '--resume goes on from state/reconstruction.checkpoint' in shown.err
    assert not (folder / 'o.npz').exists()
    shown = run(*RECONSTRUCT, *SHORT, '--output', 'o.npz', *keeping, '--resume')
    assert shown.code == 0, shown.err
    assert 'Resumed after iteration 3' in shown.err
    found, wanted = load_result(folder / 'o.npz'), load_result(folder / 'whole.npz')
    np.testing.assert_allclose(found.object_canvas, wanted.object_canvas, rtol=1e-6)
    assert found.remarks == wanted.remarks

    # With other settings, which are printed and kept in the result.
    more = (*RECONSTRUCT, '--no-estimate-errors', '--refine-iterations', 10)
    shown = run(*more, '--output', 'o.npz', *keeping, '--resume')
    line = 'resumed after iteration 8 with refine_iterations 10 instead of 8'
    assert f'found: {line}' in shown.out.splitlines()
    assert line in load_result(folder / 'o.npz').remarks
    shown = run(*more, '--output', 'o.npz', *keeping, '--resume', '--update-flux')
    assert shown.code == 2
    assert 'update_flux True instead of False' in shown.err.replace('-', '_')


def test_an_interrupted_batch_goes_on_within_its_scan(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ('batch', 'scan.npz', '--output', 'results', '--file-type', 'npz', *RECONSTRUCT[2:])
    keeping = (*SHORT, '--checkpoint-seconds', 0)
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert run(*words, *keeping).code == 130
    checkpoint = folder / 'results' / 'scan.checkpoint'
    assert checkpoint.exists()
    # One that cannot be used is as none.
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:1000])
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert run(*words, *keeping).code == 130
    assert 'starting from the beginning' in (folder / 'results' / 'scan.log').read_text()
    shown = run(*words, *keeping)
    assert shown.code == 0, shown.err
    assert 'Resumed after iteration 2' in (folder / 'results' / 'scan.log').read_text()
    assert not checkpoint.exists()
    assert load_result(folder / 'results' / 'scan.npz').iterations == 8


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        (('--resume',), '--checkpoint FOLDER'),
        (('--resume', '--checkpoint', 'state'), 'there is no folder state to resume from'),
        (('--checkpoint', 'scan.npz'), 'scan.npz is a file'),
        (('--checkpoint', 'state', '--checkpoint-seconds', '-1'), 'checkpoint-seconds'),
    ],
)
def test_wrong_usage_ends_before_anything_is_computed(
    run: Run, folder: Path, words: tuple[str, ...], reason: str
) -> None:
    shown = run(*RECONSTRUCT, '--output', 'o.npz', *words)
    assert shown.code == 2
    assert reason in shown.err
    assert [path.name for path in folder.iterdir()] == ['scan.npz']
