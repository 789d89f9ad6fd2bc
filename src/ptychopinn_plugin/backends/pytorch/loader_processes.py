"""Whether the processes that load batches can be started from the user's script."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from pathlib import Path

from ptychopinn_plugin.errors import ConfigError


def check_main_guard(num_workers: int) -> None:
    """Refuse loader processes that would run the user's script again.

    Where processes are spawned and not forked, each imports the script that was started; without
    a guard it would train too, and none of them would ever load a batch.

    Args:
        num_workers: processes that load batches.

    Raises:
        ConfigError: processes are spawned, and the script has no guard.
    """
    if not num_workers or _start_method() == 'fork':
        return
    script = getattr(sys.modules.get('__main__'), '__file__', None)
    if script is not None and not _has_main_guard(Path(script)):
        raise ConfigError(
            f'num_workers is {num_workers}, and each of these processes would run {script} again; '
            "put the calls of the script below a line `if __name__ == '__main__':`, or take "
            'num_workers = 0'
        )


def _start_method() -> str:
    """Return how processes are started here, without settling it."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


def _has_main_guard(script: Path) -> bool:
    """Return whether a script compares `__name__` at its top level; True if it cannot be read."""
    try:
        statements = ast.parse(script.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return True
    # The `__main__` of a package is not imported again.
    if script.name == '__main__.py':
        return True
    conditions = [one.test for one in statements if isinstance(one, ast.If)]
    names = [node for test in conditions for node in ast.walk(test) if isinstance(node, ast.Name)]
    return any(name.id == '__name__' for name in names)
