"""Each command, with an engine that computes nothing."""

import html
import json
import logging
import os
import signal
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from matplotlib.image import imread

from ptychopinn_plugin import __version__
from ptychopinn_plugin.cli.console import CommandMonitor, set_up_logging
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.config import InferenceConfig, ModelConfig
from ptychopinn_plugin.config.used_settings import changed_settings
from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.io.model_file import load_model, weights_fingerprint
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
from tests.cli.conftest import Run
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures('fake_engine')


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_simulate_writes_a_scan_that_can_be_read(run: Run, folder: Path) -> None:
    shown = run('simulate', 's.npz', '--rows', 3, '--columns', 4, '--seed', 5, '--probe-modes', 2)
    assert (shown.code, shown.err) == (0, '')
    assert shown.out.startswith('s.npz: 12 frames of 64 x 64 pixels')
    assert load_scan(folder / 's.npz').mode_count == 2


def test_check_reports_what_was_found(run: Run) -> None:
    shown = run('check', 'scan.npz')
    assert shown.code == 0
    assert 'frames:         30 of 64 x 64' in shown.out
    assert "read as:        'diffraction' holds amplitude" in shown.out


def test_check_tries_the_orientations_and_can_leave_it(run: Run) -> None:
    right = run('check', 'scan.npz').out
    assert 'orientation:    right as it is' in right
    assert 'focus:' not in right
    assert 'orientation:    looks wrong' in run('check', 'scan.npz', '--flip-y').out
    assert 'orientation' not in run('check', 'scan.npz', '--no-trials').out


def test_check_says_how_far_a_probe_is_out_of_focus(run: Run, folder: Path) -> None:
    config = SimulationConfig(rows=5, columns=6, probe_guess_error=0.4)
    save_simulated(folder / 'unfocused.npz', simulate(config))
    shown = run('check', 'unfocused.npz')
    assert 'focus:          looks out of focus: with the probe propagated by +' in shown.out


def test_check_as_json_is_json_alone(run: Run) -> None:
    shown = run('check', 'scan.npz', '--json')
    assert json.loads(shown.out)['frames'] == 30
    assert 0 < json.loads(shown.out)['overlap'] < 1


def test_check_reads_as_the_flags_say(run: Run) -> None:
    shown = run('check', 'scan.npz', '--json', '--transpose', '--flip-x', '--domain', 'counts')
    decisions = ' '.join(json.loads(shown.out)['decisions'])
    assert 'transpose, flip x' in decisions
    plain = json.loads(run('check', 'scan.npz', '--json').out)
    assert plain['scan_extent_px'] == json.loads(shown.out)['scan_extent_px'][::-1]


def test_check_reports_every_fault_of_a_file(run: Run, folder: Path) -> None:
    with np.load(folder / 'scan.npz') as file:
        members = dict(file)
    members['xcoords'][3] = np.nan
    members['diffraction'][1, 2, 3] = np.inf
    np.savez(folder / 'bad.npz', **members)
    shown = run('check', 'bad.npz')
    assert (shown.code, shown.out) == (2, '')
    assert '2 faults' in shown.err


def test_train_saves_a_model(run: Run, folder: Path) -> None:
    words = ('--model', 'm.safetensors', '--epochs', 3, '--width', 8, '--seed', 9)
    shown = run('train', 'scan.npz', 'scan.npz', *words)
    lines = 'model: m.safetensors\npicture: m-training.png\n'
    assert (shown.code, shown.out) == (0, lines)
    assert imread(folder / 'm-training.png').std() > 0.02
    model = load_model(folder / 'm.safetensors')
    assert (model.manifest.model.width, model.manifest.training.seed) == (8, 9)
    assert len(model.losses) == 3
    assert 'training 3/3  loss 0.3333, validation 0.6667' in shown.err


def test_train_can_be_resumed(run: Run, folder: Path) -> None:
    words = ('train', 'scan.npz', '--model', 'm.safetensors', '--epochs', 1)
    shown = run(*words, '--resume')
    assert (shown.code, shown.out) == (2, '')
    assert 'no m-training to resume from' in shown.err
    assert names(folder) == ['scan.npz']
    assert run(*words).code == 0
    assert names(folder) == ['m-training', 'm-training.png', 'm.safetensors', 'scan.npz']
    assert run(*words, '--resume').code == 0
    (folder / 'm-training' / 'last.ckpt').unlink()
    shown = run(*words, '--resume')
    assert (shown.code, shown.out) == (2, '')
    assert 'no checkpoint' in shown.err


def test_train_goes_on_from_a_model_with_its_network(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run('train', 'scan.npz', '--model', 'first.safetensors', '--width', 8)
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(FakeEngine, 'called', lambda _self, **arguments: seen.append(arguments))
    words = ('train', 'scan.npz', '--model', 'second.safetensors')
    assert run(*words, '--initial-model', 'first.safetensors', '--epochs', 1).code == 0
    (call,) = seen
    assert call['model'].width == 8
    first = load_model(folder / 'first.safetensors')
    assert weights_fingerprint(call['initial']) == first.manifest.weights_fingerprint
    shown = run(*words, '--initial-model', 'none.safetensors')
    assert (shown.code, len(seen)) == (2, 1)
    assert 'none.safetensors' in shown.err
    # The model that it goes on from is not replaced by the one that it makes.
    shown = run(*words[:2], '--model', 'first.safetensors', '--initial-model', 'first.safetensors')
    assert (shown.code, len(seen)) == (2, 1)


def test_inspect_prints_the_manifest(run: Run) -> None:
    run('train', 'scan.npz', '--model', 'm.safetensors', '--epochs', 4)
    shown = run('inspect', 'm.safetensors')
    assert shown.code == 0
    for words in (
        '64 x 64 pixels',
        'epochs=4',
        f'width={ModelConfig().width}',
        'best validation 0.5',
        'pytorch',
    ):
        assert words in shown.out


@pytest.mark.parametrize('suffix', ['.npz', '.h5'])
def test_reconstruct_saves_and_draws(run: Run, folder: Path, suffix: str) -> None:
    words = ('--output', f'o{suffix}', '--picture', 'o.png', '--refine-iterations', 7)
    shown = run('reconstruct', 'scan.npz', *words, '--update-probe')
    assert shown.code == 0
    assert shown.out.splitlines()[0] == f'object: o{suffix}'
    assert 'PyTorch, 0.5 s, ' in shown.out
    assert names(folder) == sorted([f'o{suffix}', 'o.png', 'scan.npz'])
    scan = load_scan(folder / 'scan.npz')
    result = load_result(folder / f'o{suffix}')
    np.testing.assert_allclose(result.positions_px, scan.positions_px, atol=1e-6)
    np.testing.assert_allclose(result.residual, 1 / np.arange(1.0, 8))
    assert result.backend == 'pytorch'
    assert scan.object_guess is not None
    assert result.object_canvas.shape == scan.object_guess.shape
    covered = result.coverage > 0.02
    np.testing.assert_array_equal(result.object_canvas[covered], scan.object_guess[covered])
    shown = run('show', f'o{suffix}', '--picture', 'again.png')
    used = 'refine_iterations = 7, update_probe = "on"'
    stored = f'settings: {used}\n' if suffix == '.npz' else ''
    assert (shown.code, shown.out) == (0, f'{stored}picture: again.png\n')
    assert (folder / 'again.png').stat().st_size > 10_000
    reported = run('report', f'o{suffix}', '--output', 'report.html')
    assert (reported.code, reported.out) == (0, 'report: report.html\n')
    report = html.unescape((folder / 'report.html').read_text())
    assert f'<h1>o{suffix}</h1>' in report
    assert used in report
    refused = run('report', f'o{suffix}', '--output', 'report.pdf')
    assert refused.code == 2
    assert '.html' in refused.err


def test_the_settings_of_a_result_are_those_of_a_settings_file(run: Run, folder: Path) -> None:
    flags = ('--flip-x', '--refine-iterations', 7, '--position-constraint', 'affine')
    assert run('reconstruct', 'scan.npz', '--output', 'o.npz', *flags).code == 0
    result = load_result(folder / 'o.npz')
    assert result.version == __version__
    (folder / 'again.toml').write_text('\n'.join(result.settings))
    words = ('--output', 'again.npz', '--config', 'again.toml')
    assert run('reconstruct', 'scan.npz', *words).code == 0
    assert load_result(folder / 'again.npz').settings == result.settings
    changed = 'refine_iterations = 7, position_constraint = "affine", flip_x = true'
    assert changed_settings(result.settings) == changed


def test_reconstruct_takes_the_model_and_the_flags(
    run: Run, folder: Path, fake_engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    run('train', 'scan.npz', '--model', 'm.safetensors', '--epochs', 1)
    seen: dict[str, Any] = {}
    original = fake_engine.reconstruct

    def spy(self, scan, inference, model, monitor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        seen.update(inference=inference, model=model, execution=self.execution, scan=scan)
        return original(self, scan, inference, model, monitor)

    monkeypatch.setattr(fake_engine, 'reconstruct', spy)
    words = '--output o.npz --model m.safetensors --update-probe --threads 3 --accelerator cpu'
    shown = run('reconstruct', 'scan.npz', *words.split(), '--momentum', 0.5, '--flip-y')
    assert shown.code == 0
    assert seen['inference'].update_probe == 'on'
    assert seen['inference'].momentum == 0.5
    assert seen['execution'].threads == 3
    assert seen['execution'].backend == 'pytorch'
    plain = load_scan(folder / 'scan.npz')
    assert not np.array_equal(seen['scan'].positions_px, plain.positions_px)
    result = load_result(folder / 'o.npz')
    assert result.model_name == load_model(folder / 'm.safetensors').manifest.weights_fingerprint


def test_a_model_that_does_not_fit_is_bad_input(run: Run) -> None:
    run('simulate', 'big.npz', '--frame-size', 128, '--rows', 2, '--columns', 2)
    run('train', 'big.npz', '--model', 'm.safetensors', '--epochs', 1)
    shown = run('reconstruct', 'scan.npz', '--model', 'm.safetensors', '--output', 'o.npz')
    assert (shown.code, shown.out) == (2, '')
    assert 'another size' in shown.err


def test_quiet_leaves_the_results_alone_on_standard_output(run: Run) -> None:
    loud = run('reconstruct', 'scan.npz', '--output', 'o.npz')
    quiet = run('reconstruct', 'scan.npz', '--output', 'o.npz', '--quiet')
    assert loud.err != ''
    assert quiet.err == ''
    assert quiet.out == loud.out
    assert run('train', 'scan.npz', '--model', 'm.safetensors', '--quiet').err == ''


def test_a_full_disk_fails_without_leaving_half_a_file(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(target: IO[bytes], **_members: object) -> None:
        target.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', full_disk)
    shown = run('reconstruct', 'scan.npz', '--output', 'o.npz')
    assert (shown.code, shown.out) == (1, '')
    assert shown.err.endswith('ptychopinn: o.npz cannot be written: No space left on device\n')
    assert names(folder) == ['scan.npz']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_keeps_the_best_model(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def press(self: CommandMonitor, progress: Progress) -> None:
        if progress.step == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(CommandMonitor, 'on_progress', press)
    shown = run('train', 'scan.npz', '--model', 'm.safetensors', '--epochs', 50)
    assert shown.code == 130
    assert shown.out == 'model: m.safetensors\npicture: m-training.png\n'
    assert shown.err.endswith('ptychopinn: interrupted; the best model so far was saved\n')
    assert len(load_model(folder / 'm.safetensors').losses) == 2


@pytest.mark.parametrize(
    'command', ['train scan.npz --model m.safetensors', 'reconstruct scan.npz --output o.npz']
)
def test_an_early_interrupt_writes_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(CommandMonitor, 'should_stop', lambda _self: True)
    shown = run(*command.split())
    assert (shown.code, shown.out) == (130, '')
    assert 'interrupted' in shown.err.splitlines()[-1]
    assert set(names(folder)) <= {'m-training', 'scan.npz'}


def test_a_second_interrupt_stops_at_once(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(self: CommandMonitor, progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(CommandMonitor, 'on_progress', press)
    before = signal.getsignal(signal.SIGINT)
    shown = run('train', 'scan.npz', '--model', 'm.safetensors')
    assert (shown.code, shown.out) == (130, '')
    assert shown.err.endswith('ptychopinn: interrupted\n')
    assert not (folder / 'm.safetensors').exists()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_handlers_are_put_back(number: int) -> None:
    before = signal.getsignal(number)
    with on_interrupt(lambda: None):
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


def test_an_earlier_model_is_kept_under_its_date(run: Run, folder: Path) -> None:
    words = ('train', 'scan.npz', '--model', 'm.safetensors')
    assert run(*words, '--epochs', 2).code == 0
    os.utime(folder / 'm.safetensors', (1_700_000_000, 1_700_000_000))
    shown = run(*words, '--epochs', 3)
    (kept,) = (name for name in names(folder) if name.startswith('m-2023'))
    assert f'm.safetensors held an earlier model, which is now {kept}' in shown.err
    assert len(load_model(folder / kept).losses) == 2
    assert len(load_model(folder / 'm.safetensors').losses) == 3


def test_frames_that_fill_no_group_are_bad_input(
    run: Run, fake_engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_values: object, **_options: object) -> None:
        raise PatchError('groups of 4 frames need 4 sampled frames or more, got 3')

    monkeypatch.setattr(fake_engine, 'fit', fit)
    shown = run('train', 'scan.npz', '--model', 'm.safetensors')
    assert shown.code == 2
    assert 'groups of 4 frames' in shown.err


def test_demo_goes_the_whole_way(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopinn_plugin.cli.commands import demo

    small = demo.SCAN.model_copy(update={'rows': 6, 'columns': 6})
    monkeypatch.setattr(demo, 'SCAN', small)
    shown = run('demo', '--output', 'deep/out', '--quiet')
    assert (shown.code, shown.err) == (0, '')
    made = ['demo.npz', 'model.safetensors', 'object.h5', 'object.npz', 'object.png']
    assert names(folder / 'deep' / 'out') == made
    for name in made:
        assert str(Path('deep/out') / name) in shown.out
    assert 'relative error' in shown.out


def test_the_demo_s_engine_never_sees_the_ground_truth(
    run: Run, fake_engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopinn_plugin.cli.commands import demo

    monkeypatch.setattr(demo, 'SCAN', demo.SCAN.model_copy(update={'rows': 6, 'columns': 6}))
    shown = run('demo', '--quiet')
    similarity = float(shown.out.partition('similarity of the phase ')[2].partition(',')[0])
    assert similarity < 0.5


def test_backends_lists_what_is_there(run: Run) -> None:
    shown = run('backends')
    assert shown.code == 0
    assert 'Ptychodus' in shown.out
    assert 'tensorflow' in shown.out
    assert 'pytorch' in shown.out


def test_a_terminal_gets_bars_with_loss_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('FORCE_COLOR', '1')  # has rich take the capture for a terminal
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '120')
    set_up_logging(quiet=False, debug=False)
    with CommandMonitor(quiet=False) as monitor:
        for step in (1, 2):
            monitor.on_progress(Progress('train', step, 4, 0.25, 0.5, step, seconds_left=70))
    shown = capsys.readouterr()
    assert shown.out == ''
    for words in ('training', '2/4', 'loss 0.25, validation 0.5', 'left 1 min 10 s'):
        assert words in shown.err


def test_a_batch_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(quiet=False, debug=False)
    with CommandMonitor(quiet=False) as monitor:
        for step in range(1, 101):
            monitor.on_progress(Progress('solver', step, 100, 0.1, seconds=step / 2))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == 'reconstruction 100/100  loss 0.1  50.0 s'


def test_monitors_never_stop_by_themselves() -> None:
    assert not Monitor().should_stop()
    assert not CommandMonitor(quiet=True).should_stop()


def test_warnings_are_marked_and_survive_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(quiet=True, debug=False)
    logging.getLogger('ptychopinn_plugin.anything').warning('odd [bold]thing[/bold]')
    logging.getLogger('ptychopinn_plugin.anything').info('nothing')
    assert capsys.readouterr().err == 'warning: odd [bold]thing[/bold]\n'


@pytest.mark.parametrize(
    ('words', 'meant'),
    [
        ('', 'auto'),
        ('--update-probe', 'on'),
        ('--update-probe --quiet', 'on'),
        ('--update-probe=true', 'on'),
        ('--update-probe off', 'off'),
        ('--update-probe=auto', 'auto'),
        ('--no-update-probe', 'off'),
        ('--update_probe True', 'on'),
    ],
)
@pytest.mark.parametrize('first', [False, True])
def test_a_switch_may_stand_bare(
    run: Run,
    fake_engine: type[FakeEngine],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    meant: str,
    first: bool,
) -> None:
    seen: list[InferenceConfig] = []
    original = fake_engine.reconstruct

    def spy(self, scan, inference, model, monitor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        seen.append(inference)
        return original(self, scan, inference, model, monitor)

    monkeypatch.setattr(fake_engine, 'reconstruct', spy)
    rest = ['scan.npz', '--output', 'o.npz']
    typed = [*words.split(), *rest] if first else [*rest, *words.split()]
    assert run('reconstruct', *typed).code == 0
    assert [one.update_probe for one in seen] == [meant]


@pytest.mark.parametrize('suffix', ['.npz', '.h5'])
def test_a_result_is_continued(
    run: Run,
    folder: Path,
    fake_engine: type[FakeEngine],
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
) -> None:
    first = f'first{suffix}'
    assert run('reconstruct', 'scan.npz', '--output', first).code == 0
    seen: dict[str, Any] = {}
    original = fake_engine.reconstruct

    def spy(self, scan, inference, model, monitor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        seen.update(inference=inference, scan=scan)
        return original(self, scan, inference, model, monitor)

    monkeypatch.setattr(fake_engine, 'reconstruct', spy)
    words = ('--output', 'more.npz', '--continue-from', first)
    assert run('reconstruct', 'scan.npz', *words).code == 0
    assert seen['inference'].initial == 'product'
    result = load_result(folder / first)
    np.testing.assert_allclose(seen['scan'].positions_px, result.positions_px, atol=1e-6)
    np.testing.assert_array_equal(seen['scan'].probe, result.probe)
    reached = np.isfinite(result.object_canvas)
    np.testing.assert_array_equal(seen['scan'].object_guess[reached], result.object_canvas[reached])
    run('simulate', 'other.npz', '--rows', 2, '--columns', 3)
    shown = run('reconstruct', 'other.npz', *words[:2], words[2], first)
    assert shown.code == 2
    assert f'{first} has 30 positions, the scan has 6 frames' in shown.err


@pytest.mark.usefixtures('fake_engine')
def test_a_mask_is_written_by_check_and_read_by_reconstruct(run: Run, folder: Path) -> None:
    assert 'write-mask' not in run('check', 'scan.npz', '--no-trials').out
    with np.load(folder / 'scan.npz') as file:
        arrays = dict(file)
    arrays['diffraction'][:, 30:35, 30:35] = 0
    np.savez(folder / 'stop.npz', **arrays)
    checked = run('check', 'stop.npz', '--no-trials')
    assert 'a beamstop or gap at rows 30 to 34, columns 30 to 34' in checked.out
    assert '--write-mask FILE' in checked.out
    written = run('check', 'stop.npz', '--no-trials', '--write-mask', 'mask.npz')
    assert written.code == 0
    with np.load(folder / 'mask.npz') as file:
        assert file['bad_pixels'].sum() == 25
    before = run('reconstruct', 'stop.npz', '--output', 'a.npz')
    assert 'mask them with --mask' in before.err
    after = run('reconstruct', 'stop.npz', '--output', 'b.npz', '--mask', 'mask.npz')
    assert after.code == 0
    assert '25 pixels are masked' in after.err
    assert 'beamstop' not in after.err
    assert run('check', 'stop.npz', '--no-trials', '--write-mask', 'stop.npz').code == 2


@pytest.mark.usefixtures('fake_engine')
def test_what_is_wrong_in_part_is_said_before_a_reconstruction(run: Run, folder: Path) -> None:
    with np.load(folder / 'scan.npz') as file:
        arrays = dict(file)
    arrays['diffraction'][[4, 5]] = 0
    arrays['diffraction'][12] *= 4
    np.savez(folder / 'part.npz', **arrays)
    shown = run('reconstruct', 'part.npz', '--output', 'object.npz')
    assert shown.code == 0
    assert '2 of 30 frames without light were left out: 4 to 5' in shown.err
    assert 'warning: part.npz: 1 frames are more than five times brighter or darker' in shown.err
    assert 'brighter or darker' not in run('reconstruct', 'scan.npz', '--output', 'b.npz').err
