"""Commands about the installation."""

from __future__ import annotations

from pydantic import BaseModel

from ptychopinn_plugin.cli.options.common import Command


class Backends(Command):
    """Show what is installed: backends, versions, devices."""

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.backends import run

        run()


class Doctor(Command):
    """Say whether Ptychodus will offer the plugin, and if not, why.

    Example:
      ptychopinn doctor
    """

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.doctor import run

        run()


class Ptychodus(BaseModel):
    """Start Ptychodus with the plugin; what is typed after it goes to Ptychodus.

    Needed only where Ptychodus does not see the plugin by itself, see `ptychopinn doctor`.

    Example:
      ptychopinn ptychodus
    """
