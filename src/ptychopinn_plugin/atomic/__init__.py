"""Files written beside their place and moved there when complete, and checks of such places."""

from ptychopinn_plugin.atomic.output_checks import (
    check_output,
    check_output_folder,
    refuse_special,
)
from ptychopinn_plugin.atomic.replace import replacing

__all__ = ['check_output', 'check_output_folder', 'refuse_special', 'replacing']
