"""Start Ptychodus with the plugin, wherever the two are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ptychopinn_plugin.hosts.ptychodus.bridge import install


def launch(words: Sequence[str]) -> int:
    """Install the bridge and run the command `ptychodus`.

    Args:
        words: arguments of the command.

    Returns:
        Its exit code.
    """
    install()
    from ptychodus.__main__ import main

    sys.argv = ['ptychodus', *words]
    try:
        return int(main() or 0)
    except SystemExit as request:  # of --help, and of wrong arguments
        return request.code if isinstance(request.code, int) else int(request.code is not None)
