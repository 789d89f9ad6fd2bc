"""`python -m ptychopinn_plugin` is `ptychopinn`."""

import sys

from ptychopinn_plugin.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
