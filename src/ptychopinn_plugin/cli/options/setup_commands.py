"""Commands about the installation."""

from __future__ import annotations

from pydantic import BaseModel

from ptychopinn_plugin.cli.options.common import Command


class Backends(Command):
    """Show what is installed: backends, versions, devices."""


class Doctor(Command):
    """Say whether Ptychodus will offer the plugin, and if not, why.

    Example:
      ptychopinn doctor
    """


class Ptychodus(BaseModel):
    """Start Ptychodus with the plugin; what is typed after it goes to Ptychodus.

    Needed only where Ptychodus does not see the plugin by itself, see `ptychopinn doctor`.

    Example:
      ptychopinn ptychodus
    """
