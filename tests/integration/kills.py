"""Whole programs killed at random moments, and a look at what they leave.

Run it for many kills: `python -m tests.integration.kills 100`; the seed of a failure repeats it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.io.checkpoint_archive import load_checkpoint
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.io.scan_files import load_scan
from tests.integration.programs import FIXTURE
from tests.worker.helpers import descendants_of, eventually, runs

SMALL = ('--width', '4', '--levels', '1', '--blocks', '1', '--reference-passes', '2')
SHORT = ('--epochs', '3', '--steps-per-epoch', '2', '--validation-episodes', '1')
ESTIMATES = ('--refine-iterations', '30', '--update-positions', 'on', '--update-flux')
EACH = ('--refine-iterations', '10', '--checkpoint-seconds', '0')
SECONDS_TO_END = 1.0
# A process that is being started notices the end of its parent once it has imported its modules.
SECONDS_TO_END_STARTED = 10.0
REFERENCE, STATE, TRAINING = 'reference.npz', 'state', 'model-training'
PTYCHODUS_SETTINGS = """
[Processing]
Algorithm = PtychoPINN-Plugin_PINN

[PtychoPINNPluginExecution]
backend = {backend}
accelerator = cpu
threads = 1

[PtychoPINNPluginInference]
refine_iterations = 10
"""


def nothing(folder: Path) -> None:
    """Leave a folder as it is."""


@dataclass(frozen=True)
class Program:
    """A program that writes files into a folder.

    Attributes:
        words: the command; `{folder}` stands for the folder.
        files: patterns of the files, each with a reader that raises where one is not whole.
        resumed: that a killed run has left in the folder if the next one is to go on from it, with
            the word that says so.
        prepare: writes what the program needs into a new folder.
        renew: removes what a run that has ended left, so that the next one begins anew.
        seconds_to_end: how long its own processes may go on once it is killed.
    """

    words: tuple[str, ...]
    files: Mapping[str, Callable[[Path], object]]
    resumed: tuple[str, str] = ('', '')
    prepare: Callable[[Path], None] = nothing
    renew: Callable[[Path], None] = nothing
    seconds_to_end: float = SECONDS_TO_END

    def command(self, folder: Path) -> list[str]:
        pattern, word = self.resumed
        more = [word] if pattern and list(folder.glob(pattern)) else []
        return [sys.executable, '-m', *(one.format(folder=folder) for one in self.words), *more]

    def contents(self, folder: Path) -> dict[Path, bytes]:
        return {path: path.read_bytes() for one in self.files for path in folder.glob(one)}

    def check(self, folder: Path, before: Mapping[Path, bytes]) -> None:
        """Read the files that have changed.

        Raises:
            DamageError: a file is gone.
            Exception: whatever a reader raises for one that is not whole.
        """
        for pattern, read in self.files.items():
            for path in folder.glob(pattern):
                if before.get(path) != path.read_bytes():
                    read(path)
        gone = [path.name for path in before if not path.exists()]
        # The checkpoint of a scan is removed once its result is there.
        if any(not name.endswith('.checkpoint') for name in gone):
            raise DamageError(f'files are gone: {gone}')


class DamageError(Exception):
    """A killed program left something that it must not leave."""


def ptychopinn(*words: str) -> tuple[str, ...]:
    return ('ptychopinn_plugin', *words)


def programs(backend: str) -> dict[str, Program]:
    """Return the programs by name."""
    place = ('--backend', backend, '--accelerator', 'cpu', '--threads', '1')
    reconstruct = ('reconstruct', str(FIXTURE), *place, '--output')
    keeping = ('--checkpoint', f'{{folder}}/{STATE}', '--checkpoint-seconds', '0')
    train = ('train', str(FIXTURE), '--model', '{folder}/model.safetensors', *place, *SMALL)
    several = ('--devices', '2', '--no-estimate-errors')
    return {
        'reconstruct': Program(
            ptychopinn(*reconstruct, '{folder}/object.npz', '--refine-iterations', '10'),
            {'object.npz': load_result},
        ),
        'export': Program(
            ptychopinn(*reconstruct, '{folder}/object.h5', '--refine-iterations', '2'),
            {'object.h5': load_result},
        ),
        'resume': Program(
            ptychopinn(*reconstruct, '{folder}/object.npz', *ESTIMATES, *keeping),
            {'object.npz': same_as_unbroken, f'{STATE}/*.checkpoint': load_checkpoint},
            (STATE, '--resume'),
            partial(run_unbroken, words=ptychopinn(*reconstruct, f'{{folder}}/{REFERENCE}')),
            lambda folder: shutil.rmtree(folder / STATE, ignore_errors=True),
        ),
        # Not with TensorFlow, which computes on one device.
        'parts': Program(
            ptychopinn(*reconstruct, '{folder}/object.npz', *ESTIMATES, *several, *keeping),
            {'object.npz': same_as_unbroken, f'{STATE}/*.checkpoint': load_checkpoint},
            (STATE, '--resume'),
            partial(
                run_unbroken,
                words=ptychopinn(*reconstruct, f'{{folder}}/{REFERENCE}', *several),
            ),
            lambda folder: shutil.rmtree(folder / STATE, ignore_errors=True),
            SECONDS_TO_END_STARTED,
        ),
        'train': Program(
            ptychopinn(*train, *SHORT),
            {'model.safetensors': load_model},
            (f'{TRAINING}/last.*', '--resume'),
            renew=lambda folder: shutil.rmtree(folder / TRAINING, ignore_errors=True),
        ),
        'batch': Program(
            ptychopinn('batch', '{folder}/scans', '--output', '{folder}/results', *place, *EACH),
            {
                'results/*.h5': load_result,
                'results/*.json': read_record,
                'results/*.checkpoint': load_checkpoint,
            },
            prepare=write_scans,
            renew=lambda folder: shutil.rmtree(folder / 'results', ignore_errors=True),
        ),
        'simulate': Program(
            ptychopinn('simulate', '{folder}/star.npz', '--rows', '20', '--columns', '20'),
            {'star.npz': read_frame_size},
        ),
        'ptychodus': Program(
            ('ptychodus', '-b', 'reconstruct', '-i', '{folder}/scan', '-o', '{folder}/out'),
            {'out/product.h5': load_result},
            prepare=partial(write_ptychodus_scan, backend=backend),
        ),
    }


def run_unbroken(folder: Path, words: tuple[str, ...]) -> None:
    """Reconstruct without an interruption, for the comparison with those that were resumed."""
    run(Program((*words, *ESTIMATES), {}).command(folder))


def same_as_unbroken(path: Path) -> None:
    """Read a result and compare it with the one of `run_unbroken`."""
    found, wanted = load_result(path), load_result(path.with_name(REFERENCE))
    for name in ('object_canvas', 'probe', 'positions_px', 'residual'):
        one, other = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=name)
    assert found.remarks == wanted.remarks


def read_record(path: Path) -> None:
    ScanRecord.model_validate_json(path.read_bytes())


def write_scans(folder: Path) -> None:
    (folder / 'scans').mkdir()
    for name in ('a.npz', 'b.npz'):
        shutil.copy(FIXTURE, folder / 'scans' / name)


def write_ptychodus_scan(folder: Path, backend: str) -> None:
    # Not above: the other programs need no Ptychodus.
    from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair

    (folder / 'scan').mkdir()
    save_ptychodus_pair(folder / 'scan', load_scan(FIXTURE))
    settings = PTYCHODUS_SETTINGS.format(backend=backend)
    (folder / 'scan' / 'settings.ini').write_text(settings)


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def run_whole(program: Program, folder: Path) -> float:
    """Run a program to its end; return its duration in seconds."""
    began = time.monotonic()
    run(program.command(folder))
    program.check(folder, {})
    missing = [one for one in program.files if not list(folder.glob(one))]
    if any(not pattern.endswith('.checkpoint') for pattern in missing):
        raise DamageError(f'files were not written: {missing}')
    return time.monotonic() - began


def kill_once(program: Program, folder: Path, delay: float) -> str:
    """Start a program and kill it after some seconds.

    Returns:
        'killed', or 'ended' where it was done before.

    Raises:
        DamageError: its files are neither the old nor whole new ones, a process of its own still
            runs, it failed, or temporary files pile up.
    """
    before = program.contents(folder)
    how = start_and_kill(program.command(folder), delay, program.seconds_to_end)
    program.check(folder, before)
    left = list(folder.rglob('*.part*'))
    if len(left) > 1:
        raise DamageError(f'temporary files pile up: {[path.name for path in left]}')
    for path in left:
        # Only files older than a minute are removed, by the next program that writes there.
        os.utime(path, (0, 0))
    if how == 'ended':
        program.renew(folder)
    return how


def start_and_kill(command: list[str], delay: float, seconds_to_end: float) -> str:
    """Run a program for some seconds at most; return 'killed', or 'ended' where it was done.

    Raises:
        DamageError: it failed, or a process of its own still runs.
    """
    # Not a pipe, which processes that are left over would keep open.
    with tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            if process.wait(delay):
                errors.seek(0)
                raise DamageError(f'it failed: {errors.read()[-500:]}')
        except subprocess.TimeoutExpired:
            helpers = descendants_of(process.pid)
            process.kill()
            process.wait()
            if not eventually(lambda: not any(map(runs, helpers)), seconds_to_end):
                raise DamageError(f'processes of it still run: {helpers}') from None
            return 'killed'
    return 'ended'


def kill_often(
    folder: Path, count: int, seed: int, names: list[str], backend: str = 'pytorch'
) -> Counter[str]:
    """Kill programs in turn at random moments; at the end each of them has to work.

    Returns:
        How often each program was killed, and how often it had ended before.

    Raises:
        DamageError: with the program and the second at which it was killed.
    """
    moments, found = random.Random(seed), Counter[str]()
    every = programs(backend)
    places = {name: folder / name for name in names}
    durations = {}
    for name, place in places.items():
        place.mkdir()
        every[name].prepare(place)
        durations[name] = run_whole(every[name], place)
        every[name].renew(place)
    for number in range(count):
        name = names[number % len(names)]
        delay = moments.uniform(0, durations[name])
        try:
            how = kill_once(every[name], places[name], delay)
        except Exception as error:
            raise DamageError(f'{name}, killed after {delay:.2f} s: {error}') from error
        found[f'{name}, {how}'] += 1
    for name, place in places.items():
        run_whole(every[name], place)
        left = [path.name for path in place.rglob('*.part*')]
        if left:
            raise DamageError(f'{name} left temporary files after a whole run: {left}')
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('count', type=int)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--backend', default='pytorch', choices=['pytorch', 'tensorflow'])
    every = list(programs('pytorch'))
    parser.add_argument('--programs', nargs='+', default=every, choices=every)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_often(
            Path(folder), options.count, options.seed, options.programs, options.backend
        )
    for line, times in sorted(found.items()):
        sys.stdout.write(f'{times:4d}  {line}\n')
    sys.stdout.write(f'no damage in {time.monotonic() - began:.0f} s\n')


if __name__ == '__main__':
    main()
