"""`ptychopinn simulate`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Simulate
from ptychopinn_plugin.cli.paths import check_writable
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate


def run(flags: Simulate) -> None:
    """Simulate a scan and write it."""
    path = check_writable(flags.out, ('.npz', '.h5'))
    config = flags.extract(SimulationConfig)
    simulated = simulate(config)
    if path.suffix == '.npz':
        save_simulated(path, simulated)
    else:
        from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_scan

        save_ptychodus_scan(path, simulated.scan)
    scan = simulated.scan
    echo(
        f'{path}: {scan.frame_count} frames of {scan.frame_size} x {scan.frame_size} pixels, '
        f'object {config.object_kind!r}, {config.photons_per_frame:g} photons a frame'
    )
