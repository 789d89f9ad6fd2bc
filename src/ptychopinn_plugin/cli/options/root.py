"""The command `ptychopinn` itself."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    CliSubCommand,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ptychopinn_plugin.cli.options.file_commands import (
    Convert,
    Fixture,
    Inspect,
    Report,
    Show,
    Simulate,
)
from ptychopinn_plugin.cli.options.live_commands import Watch
from ptychopinn_plugin.cli.options.scan_commands import Batch, Check, Demo, Reconstruct, Train
from ptychopinn_plugin.cli.options.setup_commands import Backends, Doctor, Ptychodus


class Ptychopinn(BaseSettings):
    """Physics-informed neural ptychography.

    first steps:
      ptychopinn demo                                      see it work on a simulated scan
      ptychopinn check scan.npz                            is the scan what it should be?
      ptychopinn reconstruct scan.npz --output object.h5 --picture object.png

    `ptychopinn COMMAND --help` lists the options.
    """

    model_config = SettingsConfigDict(
        cli_prog_name='ptychopinn',
        cli_kebab_case=True,
        cli_implicit_flags='toggle',
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_enforce_required=True,
        cli_exit_on_error=False,
        cli_parse_none_str='null',
        extra='forbid',
    )

    version: bool = Field(False, description='Print the version')
    backends: CliSubCommand[Backends] = Field(description='what is installed, versions, devices')
    simulate: CliSubCommand[Simulate] = Field(description='make a scan with a known object')
    check: CliSubCommand[Check] = Field(description='look at a scan before reconstructing it')
    train: CliSubCommand[Train] = Field(description='train a network on scans')
    reconstruct: CliSubCommand[Reconstruct] = Field(description='reconstruct a scan')
    batch: CliSubCommand[Batch] = Field(description='reconstruct many scans')
    convert: CliSubCommand[Convert] = Field(description='convert a scan to .npz or Ptychodus files')
    watch: CliSubCommand[Watch] = Field(description='reconstruct a scan while it is recorded')
    fixture: CliSubCommand[Fixture] = Field(description='cut a small scan out of a large one')
    show: CliSubCommand[Show] = Field(description='draw a result')
    report: CliSubCommand[Report] = Field(description='write a report of a result as HTML')
    inspect: CliSubCommand[Inspect] = Field(description='print the description in a model file')
    demo: CliSubCommand[Demo] = Field(description='see all of it work on a simulated scan')
    doctor: CliSubCommand[Doctor] = Field(description='will Ptychodus offer the plugin?')
    ptychodus: CliSubCommand[Ptychodus] = Field(description='start Ptychodus with the plugin')

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is typed, and nothing from the environment or from files."""
        return (init_settings,)


def command_class(name: str) -> type[Any]:
    """Return the class of a command, or `object` for another name."""
    field = Ptychopinn.model_fields.get(name)
    found = getattr(field.annotation, '__args__', (object,))[0] if field else object
    return found if isinstance(found, type) else object
