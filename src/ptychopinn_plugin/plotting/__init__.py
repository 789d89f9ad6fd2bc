"""Pictures and reports of reconstructions."""

from ptychopinn_plugin.plotting.figure import SUFFIXES, picture
from ptychopinn_plugin.plotting.html_report import save_report

__all__ = ['SUFFIXES', 'picture', 'save_report']
