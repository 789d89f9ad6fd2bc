"""Start Ptychodus with the plugin, wherever either of them is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ptychopinn_plugin.hosts.ptychodus.bridge import install


def launch(words: Sequence[str]) -> int:
    """Run Ptychodus' own command with the bridge in place.

    Args:
        words: what the command `ptychodus` takes.

    Returns:
        Its exit code.
    """
    install()
    from ptychodus.__main__ import main

    sys.argv = ['ptychodus', *words]
    try:
        return int(main() or 0)
    except SystemExit as request:  # of --help, and of arguments that will not do
        return request.code if isinstance(request.code, int) else int(request.code is not None)
