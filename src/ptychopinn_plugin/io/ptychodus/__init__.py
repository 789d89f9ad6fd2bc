"""The files of Ptychodus: scans and products; the only readers and writers that import it.

Raises:
    UnavailableError: on import, where Ptychodus is not installed.
"""

from importlib.util import find_spec

from ptychopinn_plugin.errors import UnavailableError

# The one place where it is checked: all that imports `ptychodus` imports this package first.
if find_spec('ptychodus') is None:
    raise UnavailableError(
        'files and programs of Ptychodus need the package ptychodus, which is not installed; '
        'install it with: pip install ptychodus'
    )
