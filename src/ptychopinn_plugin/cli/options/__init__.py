"""The commands and their flags: one class a command, its flags inherited from the configs.

A flag is a field; those of the configs are declared there and nowhere else. What a command does is
in the module of its name in `cli.commands`, which `cli.main` imports when the command runs.
"""

from ptychopinn_plugin.cli.options.common import (
    GROUPS,
    POSITIONAL,
    Command,
    ConfigFileFlags,
    EngineFlags,
    ScanFlags,
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
from ptychopinn_plugin.cli.options.root import Ptychopinn, command_class
from ptychopinn_plugin.cli.options.scan_commands import Batch, Check, Demo, Reconstruct, Train
from ptychopinn_plugin.cli.options.setup_commands import Backends, Doctor, Ptychodus

__all__ = [
    'GROUPS',
    'POSITIONAL',
    'Backends',
    'Batch',
    'Check',
    'Command',
    'ConfigFileFlags',
    'Convert',
    'Demo',
    'Doctor',
    'EngineFlags',
    'Fixture',
    'Inspect',
    'Ptychodus',
    'Ptychopinn',
    'Reconstruct',
    'Report',
    'ScanFlags',
    'Show',
    'Simulate',
    'Train',
    'Watch',
    'command_class',
]
