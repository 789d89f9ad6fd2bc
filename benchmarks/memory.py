"""Peak memory of a reconstruction against the size of its frames.

usage: memory.py [--rows N] [--frame-size N] [--backend pytorch] [--update-probe]

The scan is simulated and saved by one process and reconstructed by another, whose peak resident
memory the kernel reports.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

RECONSTRUCT = """
import resource, sys
from ptychopinn_plugin import InferenceConfig, load_scan, reconstruct
scan = load_scan(sys.argv[1])
inference = InferenceConfig(refine_iterations=3, update_probe=sys.argv[3] == 'True')
result = reconstruct(scan, backend=sys.argv[2], inference=inference)
print(scan.counts.nbytes / 2**20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""
SIMULATE = """
import sys
from pathlib import Path
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
rows, size = int(sys.argv[2]), int(sys.argv[3])
config = SimulationConfig(rows=rows, columns=rows, frame_size=size)
save_simulated(Path(sys.argv[1]), simulate(config))
"""


def main() -> None:
    """Print the frames' size, the peak and the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=64)
    parser.add_argument('--frame-size', type=int, default=128)
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--update-probe', action='store_true')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'scan.npz'
        sizes = [str(arguments.rows), str(arguments.frame_size)]
        subprocess.run([sys.executable, '-c', SIMULATE, path, *sizes], check=True)
        words = [path, arguments.backend, str(arguments.update_probe)]
        command = [sys.executable, '-c', RECONSTRUCT, *words]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    frames, peak = (float(number) for number in printed.split())
    print(f'frames {frames:.0f} MiB, peak {peak:.0f} MiB, 3 x frames + 600: {3 * frames + 600:.0f}')


if __name__ == '__main__':
    main()
