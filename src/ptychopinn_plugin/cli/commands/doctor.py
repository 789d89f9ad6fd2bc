"""`ptychopinn doctor`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Doctor
from ptychopinn_plugin.errors import UnavailableError
from ptychopinn_plugin.hosts.ptychodus.installation import examine


def run(_flags: Doctor) -> None:
    """Print what was found, and fail if Ptychodus will not offer the plugin.

    Raises:
        UnavailableError: Ptychodus will not see the plugin; the message says what to do.
    """
    findings = examine()
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        echo(f'{"ok" if finding.good else "--":<3} {finding.what:<{width}}  {finding.found}')
    faults = [finding.advice for finding in findings if finding.advice and finding.needed]
    for finding in findings:
        if finding.advice and not finding.needed:
            echo(finding.advice)
    if faults:
        raise UnavailableError('; '.join(faults))
    echo('Ptychodus will offer ptychopinn-plugin_pinn under Processing, Algorithm.')
