"""Cases: one damaged file each, and what a reader may do with it."""

from __future__ import annotations

import random
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.errors import PtychoPINNError
from tests.fuzz.mutators import BY_ENDING
from tests.fuzz.targets import TARGETS

PYTHON = re.compile(
    r"\b[A-Z]\w*(?:Error|Exception|Warning)\b|Traceback|NoneType|has no attribute|\bb'|"
    r'<class |object at 0x|not subscriptable|not iterable|positional argument'
)
MOST_SECONDS, MOST_BYTES, LONGEST_MESSAGE = 10.0, 2**30, 10_000


@dataclass(frozen=True)
class Failure:
    """A case that a reader must not do.

    Attributes:
        target: name of the reader.
        seed: of the case; the same seed gives the same file.
        what: went wrong.
    """

    target: str
    seed: int
    what: str


class Fuzz:
    """Sound files of all targets, and cases made of them.

    Args:
        folder: for the files.
        targets: their names; all by default.
    """

    def __init__(self, folder: Path, targets: tuple[str, ...] = tuple(TARGETS)) -> None:
        self.folder = folder
        self.targets = targets
        for name in targets:
            sound = self._sound(name)
            sound.parent.mkdir(parents=True)
            TARGETS[name].write(sound)
            TARGETS[name].read(sound)

    def run(self, cases: int, seed: int) -> Iterator[Failure]:
        """Run cases of every target in turn and yield those that failed."""
        for number in range(cases):
            what = self.run_case(self.targets[number % len(self.targets)], seed + number)
            if what:
                yield Failure(self.targets[number % len(self.targets)], seed + number, what)

    def run_case(self, name: str, seed: int) -> str:
        """Return what a reader did wrong with one damaged file; '' where nothing."""
        path = self.damaged_file(name, seed)
        before, began = highest_memory(), time.perf_counter()
        what = fault_of(name, path)
        seconds, taken = time.perf_counter() - began, highest_memory() - before
        if seconds > MOST_SECONDS:
            what += f' {seconds:.0f} s'
        if taken > MOST_BYTES:
            what += f' {taken / 2**20:.0f} MiB'
        return what

    def damaged_file(self, name: str, seed: int) -> Path:
        """Write the file of a case and return its path."""
        sound, dice = self._sound(name), random.Random(f'{name} {seed}')
        folder = self.folder / 'damaged'
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound.parent, folder)
        path = folder / sound.name
        dice.choice(BY_ENDING[path.suffix])(path, dice)
        return path

    def _sound(self, name: str) -> Path:
        return self.folder / name / TARGETS[name].file


def fault_of(name: str, path: Path) -> str:
    """Read a file and return what the reader did wrong; '' where nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            shown = TARGETS[name].read(path)
    except PtychoPINNError as error:
        text = str(error)
        if len(text) > LONGEST_MESSAGE or not text:
            return f'a message of {len(text)} characters'
        return control_characters(text) or names_of_python(text)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        return f'{type(error).__name__}: {error}'[:300]
    return control_characters(' '.join(map(str, shown))) if isinstance(shown, list) else ''


def control_characters(text: str) -> str:
    """Return which characters of a text a terminal would obey; '' for none."""
    found = {one for one in text if not one.isprintable() and one != '\n'}
    return f'control characters {found!r} in {text[:200]!r}' if found else ''


def names_of_python(text: str) -> str:
    """Return what a message says of Python that a user need not know; '' for nothing."""
    found = PYTHON.search(text)
    return f'{found[0]!r} in {text[:300]!r}' if found else ''


def highest_memory() -> float:
    """Return the most memory that this process has had, bytes; 0 where it is not known."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
