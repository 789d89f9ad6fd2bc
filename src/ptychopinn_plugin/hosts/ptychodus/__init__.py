"""The Ptychodus side: the only place that imports `ptychodus`.

Raises:
    UnavailableError: on import, where Ptychodus is not installed.
"""

from importlib import import_module

import_module('ptychopinn_plugin.io.ptychodus')  # which checks that Ptychodus is installed
