"""The Ptychodus side: the only place that imports `ptychodus`.

Raises:
    UnavailableError: on import, where Ptychodus is not installed.
"""

import ptychopinn_plugin.io.ptychodus  # noqa: F401  (raises the error)
