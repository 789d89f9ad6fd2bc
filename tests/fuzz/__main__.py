"""Run cases on demand and print those that failed."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.cases import Fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run what the command line asks for; return 1 where a case failed."""
    parser = argparse.ArgumentParser(prog='python -m tests.fuzz', description=__doc__)
    parser.add_argument('--cases', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--target', choices=list(TARGETS), action='append')
    flags = parser.parse_args()
    # A library that crashes says in which case; one that hangs says where.
    faulthandler.enable()
    targets = tuple(flags.target or TARGETS)
    began, failed = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), targets)
        for number in range(flags.cases):
            name, seed = targets[number % len(targets)], flags.seed + number
            faulthandler.dump_traceback_later(60, exit=True)
            what = fuzz.run_case(name, seed)
            if what:
                failed += 1
                sys.stdout.write(f'{name} {seed}: {what}\n')
                sys.stdout.flush()
        faulthandler.cancel_dump_traceback_later()
    seconds = time.perf_counter() - began
    sys.stdout.write(f'{flags.cases} cases, {failed} failed, {seconds / 60:.1f} min\n')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
