"""Whole programs killed at random moments, and a look at what they leave.

Run it for many kills: `python -m tests.integration.kills 100`; the seed of a failure repeats it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from tests.integration.programs import FIXTURE
from tests.worker.helpers import descendants_of, eventually, runs

PLACE = ('--backend', 'pytorch', '--accelerator', 'cpu', '--threads', '1')
SMALL = ('--width', '4', '--levels', '1', '--blocks', '1', '--reference-passes', '2')
SHORT = ('--epochs', '3', '--steps-per-epoch', '2', '--validation-episodes', '1')
SECONDS_TO_END = 1.0


@dataclass(frozen=True)
class Program:
    """A program that writes a file.

    Attributes:
        words: the command; `{output}` stands for the file.
        output: name of the file.
        read: reads the file, and raises where it is not whole.
    """

    words: tuple[str, ...]
    output: str
    read: Callable[[Path], object]

    def command(self, folder: Path) -> list[str]:
        output = str(folder / self.output)
        return [sys.executable, '-m', *(word.format(output=output) for word in self.words)]


def ptychopinn(*words: str) -> tuple[str, ...]:
    return ('ptychopinn_plugin', *words)


RECONSTRUCT = ('reconstruct', str(FIXTURE), '--output', '{output}', *PLACE)
PROGRAMS = {
    'reconstruct': Program(
        ptychopinn(*RECONSTRUCT, '--refine-iterations', '10'), 'object.npz', load_result
    ),
    'export': Program(
        ptychopinn(*RECONSTRUCT, '--refine-iterations', '2'), 'object.h5', load_result
    ),
    'train': Program(
        ptychopinn('train', str(FIXTURE), '--model', '{output}', *PLACE, *SMALL, *SHORT),
        'model.safetensors',
        load_model,
    ),
    'simulate': Program(
        ptychopinn('simulate', '{output}', '--rows', '20', '--columns', '20'),
        'star.npz',
        read_frame_size,
    ),
}


class DamageError(Exception):
    """A killed program left something that it must not leave."""


def run_whole(program: Program, folder: Path) -> float:
    """Run a program to its end; return its duration in seconds."""
    began = time.monotonic()
    subprocess.run(program.command(folder), check=True, capture_output=True, timeout=300)
    program.read(folder / program.output)
    return time.monotonic() - began


def kill_once(program: Program, folder: Path, delay: float) -> str:
    """Start a program and kill it after some seconds.

    Returns:
        'killed', or 'ended' where it was done before.

    Raises:
        DamageError: its file is neither the old nor a whole new one, a process of its own still
            runs, or temporary files pile up.
    """
    output = folder / program.output
    old = output.read_bytes()
    process = subprocess.Popen(
        program.command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(delay)
        how = 'ended'
    except subprocess.TimeoutExpired:
        helpers = descendants_of(process.pid)
        process.kill()
        process.wait()
        how = 'killed'
        if not eventually(lambda: not any(map(runs, helpers)), SECONDS_TO_END):
            raise DamageError(f'processes of it still run: {helpers}') from None
    if output.read_bytes() != old:
        program.read(output)
    left = list(folder.rglob('*.part*'))
    if len(left) > 1:
        raise DamageError(f'temporary files pile up: {[path.name for path in left]}')
    for path in left:
        # Only files older than a minute are removed, by the next program that writes there.
        os.utime(path, (0, 0))
    return how


def kill_often(folder: Path, count: int, seed: int, names: list[str]) -> Counter[str]:
    """Kill programs in turn at random moments; at the end each of them has to work.

    Returns:
        How often each program was killed, and how often it had ended before.

    Raises:
        DamageError: with the program and the second at which it was killed.
    """
    moments, found = random.Random(seed), Counter[str]()
    places = {name: folder / name for name in names}
    for place in places.values():
        place.mkdir()
    durations = {name: run_whole(PROGRAMS[name], place) for name, place in places.items()}
    for number in range(count):
        name = names[number % len(names)]
        delay = moments.uniform(0, durations[name])
        try:
            how = kill_once(PROGRAMS[name], places[name], delay)
        except Exception as error:
            raise DamageError(f'{name}, killed after {delay:.2f} s: {error}') from error
        found[f'{name}, {how}'] += 1
    for name, place in places.items():
        run_whole(PROGRAMS[name], place)
        left = [path.name for path in place.rglob('*.part*')]
        if left:
            raise DamageError(f'{name} left temporary files after a whole run: {left}')
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('count', type=int)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--programs', nargs='+', default=list(PROGRAMS), choices=list(PROGRAMS))
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_often(Path(folder), options.count, options.seed, options.programs)
    for line, times in sorted(found.items()):
        sys.stdout.write(f'{times:4d}  {line}\n')
    sys.stdout.write(f'no damage in {time.monotonic() - began:.0f} s\n')


if __name__ == '__main__':
    main()
