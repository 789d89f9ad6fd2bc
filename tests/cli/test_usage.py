"""Typing errors are reported in one sentence, before anything is computed."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ptychopinn_plugin import __version__
from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.cli.options import Ptychopinn, command_class
from ptychopinn_plugin.config import (
    Config,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.simulation import SimulationConfig
from ptychopinn_plugin.worker.environment import THREAD_SPIN_LIMIT
from tests.cli.conftest import Run

COMMANDS = [name for name in Ptychopinn.model_fields if name != 'version']
CONFIGS_OF_COMMANDS: dict[str, list[type[Config]]] = {
    'simulate': [SimulationConfig],
    'train': [ModelConfig, TrainingConfig, ExecutionConfig],
    'reconstruct': [InferenceConfig, ExecutionConfig],
    'demo': [ExecutionConfig],
}


def test_help_lists_every_command(run: Run) -> None:
    shown = run('--help')
    assert shown.code == 0
    for command in COMMANDS:
        assert f'    {command} ' in shown.out


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    shown = run(command, '--help')
    assert shown.code == 0
    assert f'usage: ptychopinn {command} [options]' in shown.out
    assert '--quiet' in shown.out or command == 'ptychodus'
    for nonsense in ('null', 'NoneType', '(required)', 'JSON'):
        assert nonsense not in re.sub('Print JSON|as JSON', '', shown.out)
    if command not in ('backends', 'doctor', 'ptychodus'):
        assert f'  ptychopinn {command} ' in shown.out.split('Example')[1]


@pytest.mark.parametrize('command', CONFIGS_OF_COMMANDS)
def test_every_field_of_the_configs_is_a_flag_with_its_help(run: Run, command: str) -> None:
    shown = ' '.join(run(command, '--help').out.split())
    for config in CONFIGS_OF_COMMANDS[command]:
        for name, field in config.model_fields.items():
            assert f'--{name.replace("_", "-")}' in shown
            if name != 'backend':
                assert str(field.description) in shown


def test_version(run: Run) -> None:
    shown = run('--version')
    assert (shown.code, shown.out) == (0, f'ptychopinn {__version__}\n')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('', 'name a command'),
        ('refine scan.npz', "invalid choice: 'refine'"),
        ('check', 'required: SCAN'),
        ('check scan.npz --colour', 'unrecognized arguments: --colour'),
        ('check scan.npz --domain photons', "--domain: input should be 'counts' or 'amplitude'"),
        ('check none.npz', 'there is no file none.npz'),
        ('check scan.npz --probe none.npz', 'there is no file none.npz'),
        ('train scan.npz', 'required: --model'),
        ('train scan.npz --model m.pt', "m.pt ends in '.pt', it must end in .safetensors"),
        ('train scan.npz --model m.safetensors --epochs 0', '--epochs: input should be greater'),
        ('train scan.npz --model m.safetensors --epochs many', "--epochs: .*got 'many'"),
        ('train scan.npz --model m.safetensors --backend jax', "'tensorflow' or 'pytorch'"),
        ('train scan.npz none.npz --model m.safetensors', 'no file none.npz'),
        ('reconstruct scan.npz', 'required: --output'),
        ('reconstruct scan.npz --output o.tif', r'must end in \.h5 or \.npz'),
        ('reconstruct scan.npz --output no/o.h5', 'no folder no'),
        ('reconstruct scan.npz --output o.h5 --picture o.bmp', r'must end in \.png'),
        ('reconstruct scan.npz --output scan.npz', 'scan.npz is named twice'),
        ('reconstruct scan.npz --output o.h5 --model none.safetensors', 'no file none'),
        ('reconstruct scan.npz --output o.h5 --update-prob', 'unrecognized'),
        (
            'reconstruct scan.npz --output o.h5 --update-positions sure',
            "auto . on . off, got 'sure'",
        ),
        ('reconstruct scan.npz --output o.h5 --update-probe=no-one', "'auto', 'on' or 'off'"),
        ('reconstruct scan.npz --output o.h5 --continue-from none.npz', 'no file none.npz'),
        ('reconstruct scan.npz --output o.h5 --continue-from scan.npz', 'not a result of'),
        ('show scan.npz', 'required: --picture'),
        ('show scan.npz --picture p.png', 'scan.npz is not a result of ptychopinn'),
        ('inspect none.safetensors', 'there is no model file'),
        ('inspect scan.npz', 'scan.npz is a zip archive'),
        ('simulate s.npy', r'must end in \.npz or \.h5'),
        ('simulate s.npz --rows 1', '--rows: input should be greater than or equal to 2'),
        ('demo --output scan.npz', 'scan.npz is a file; name a folder'),
    ],
)
@pytest.mark.usefixtures('fake_engine')
def test_bad_input_is_reported_in_one_sentence(
    run: Run, folder: Path, words: str, message: str
) -> None:
    shown = run(*words.split())
    assert shown.code == 2
    assert shown.out == ''
    assert re.search(message, shown.err)
    assert shown.err.startswith('ptychopinn: ')
    assert shown.err.count('\n') == 1
    assert 'Traceback' not in shown.err
    assert [path.name for path in folder.iterdir()] == ['scan.npz']


def test_all_wrong_flags_are_reported_at_once(run: Run) -> None:
    shown = run('simulate', 's.npz', '--rows', '1', '--object-kind', 'cat')
    assert '--rows' in shown.err
    assert '--object-kind' in shown.err


def test_debug_shows_where_an_error_came_from(run: Run) -> None:
    assert 'Traceback' in run('check', 'none.npz', '--debug').err


def test_the_environment_says_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('VERSION', 'version', 'CHECK', 'check', 'SIMULATE__ROWS', 'simulate.rows'):
        monkeypatch.setenv(name, '1')
    (folder / '.env').write_text('version=1\n')
    assert run('check', 'scan.npz').out.startswith('scan: ')
    assert run('simulate', 's.npz', '--rows', '3', '--columns', '3').out.startswith('s.npz: 9 ')


def test_a_comma_in_a_file_s_name_does_not_split_it(run: Run) -> None:
    shown = run('train', 'a,b [1].npz', '--model', 'm.safetensors')
    assert shown.err == 'ptychopinn: there is no file a,b [1].npz\n'


def test_a_missing_framework_is_named_and_no_other_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in list(sys.modules):
        if loaded.startswith('ptychopinn_plugin.backends.tensorflow'):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, 'tensorflow', None)
    shown = run('reconstruct', 'scan.npz', '--output', 'o.npz', '--backend', 'tensorflow')
    assert shown.code == 1
    assert 'TensorFlow backend selected' in shown.err


def test_help_is_quick_and_loads_no_framework() -> None:
    code = (
        'import sys, json; from ptychopinn_plugin.cli.main import main; main(["--help"]);'
        'print(json.dumps(list(sys.modules)))'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition('.')[0] for name in eval(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint(
        {'torch', 'lightning', 'tensorflow', 'ptychodus', 'matplotlib', 'scipy', 'h5py'}
    )


@pytest.mark.integration
def test_the_process_ends_with_the_code(folder: Path) -> None:
    command = [sys.executable, '-m', 'ptychopinn_plugin']
    done = subprocess.run(
        [*command, '--version'], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f'ptychopinn {__version__}\n')
    done = subprocess.run(
        [*command, 'check', 'none.npz'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
    )
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == 'ptychopinn: there is no file none.npz\n'


@pytest.mark.integration
def test_a_reader_that_leaves_early_gets_no_traceback(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, '-m', 'ptychopinn_plugin', 'check', 'scan.npz', '--no-trials']
    done = subprocess.run(
        command,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('scan.npz: ')  # the last remark, no complaint


def test_threads_wait_kindly_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('GOMP_SPINCOUNT', 'restored after the test')
    monkeypatch.delenv('GOMP_SPINCOUNT')
    main(['--version'])
    assert os.environ['GOMP_SPINCOUNT'] == THREAD_SPIN_LIMIT['GOMP_SPINCOUNT']

    monkeypatch.setenv('GOMP_SPINCOUNT', '7')
    main(['--version'])
    assert os.environ['GOMP_SPINCOUNT'] == '7'


@pytest.mark.parametrize('name', sorted(set(Ptychopinn.model_fields) - {'version', 'ptychodus'}))
def test_each_command_has_a_module_of_its_name_that_runs_it(name: str) -> None:
    module = importlib.import_module(f'ptychopinn_plugin.cli.commands.{name}')
    assert command_class(name).__name__.lower() == name
    assert list(inspect.signature(module.run).parameters)


def test_ptychodus_that_is_not_installed_is_named_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in list(sys.modules):
        if loaded.startswith(
            ('ptychopinn_plugin.hosts.ptychodus', 'ptychopinn_plugin.io.ptychodus')
        ):
            monkeypatch.delitem(sys.modules, loaded)
    for missing in ('ptychodus', 'ptychodus.api', 'ptychodus.api.io'):
        monkeypatch.setitem(sys.modules, missing, None)
    shown = run('ptychodus', '-v')
    assert (shown.code, shown.out) == (1, '')
    assert 'Ptychodus' in shown.err
    assert 'pip install' in shown.err
    assert shown.err.count('\n') == 1
