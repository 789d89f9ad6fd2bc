"""What the command line itself refuses."""

from ptychopinn_plugin.errors import PtychoPINNError


class UsageError(PtychoPINNError):
    """The command as it was typed cannot be run."""
