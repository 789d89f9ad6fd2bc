"""Error of a command that was typed wrongly."""

from ptychopinn_plugin.errors import PtychoPINNError


class UsageError(PtychoPINNError):
    """The command as it was typed cannot be run."""
