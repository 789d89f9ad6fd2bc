"""Settings that follow from the data, read from headers without loading the arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.scan import ScanData

Data: TypeAlias = ScanData | str | Path | Sequence[ScanData | str | Path]

HDF5_ENDINGS = ('.h5', '.hdf5')
DIFFRACTION, PRODUCT = 'diffraction.h5', 'product.h5'
# The frames have the size too, where the probe lies in a file of its own.
NPZ_MEMBERS = ('probeGuess', 'diffraction', 'diff3d')
HDF5_MEMBERS = ('probe', 'patterns')


def list_scans(data: Data) -> list[ScanData | Path]:
    """Return the scans and files one by one.

    Raises:
        ScanDataError: there is none.
    """
    if isinstance(data, ScanData | str | Path):
        data = [data]
    scans = [Path(one) if isinstance(one, str) else one for one in data]
    if not scans:
        raise ScanDataError(['at least one scan is needed, got none'])
    return scans


def scan_name(scan: ScanData | Path) -> str:
    """Return how messages name a scan."""
    return (scan.source or 'the scan') if isinstance(scan, ScanData) else str(scan)


def read_frame_size(scan: ScanData | Path) -> int:
    """Return the side N of a scan's frames, from the header of its probe; no values are read.

    Args:
        scan: a scan, an .npz file, a folder of Ptychodus or one of its files.

    Raises:
        ScanDataError: there is no such file, or no square probe in it.
    """
    if isinstance(scan, ScanData):
        return scan.frame_size
    shape = _shape(scan)
    side = _side(shape)
    if not side:
        raise ScanDataError(
            [f'probe or frames have shape {shape}; they must be square: (N, N), (modes, N, N)'],
            str(scan),
        )
    return side


def mean_photons(scan: ScanData) -> float:
    """Return the mean photons a frame, bad pixels left out."""
    good = ~scan.mask
    total = math.fsum(float(frame[good].sum(dtype=np.float64)) for frame in scan.counts)
    return total / scan.frame_count


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of a file's probe, or of its frames where it has none."""
    if path.is_dir():
        return _hdf5_shape(path / PRODUCT, path / DIFFRACTION)
    if path.suffix.lower() in HDF5_ENDINGS:
        return _hdf5_shape(path, path.with_name(PRODUCT))
    with NpzMembers(path) as members:
        for name in NPZ_MEMBERS:
            if name in members:
                return members.header(name).shape
    raise ScanDataError(["'probeGuess' is missing; a starting probe is needed"], str(path))


def _hdf5_shape(*paths: Path) -> tuple[int, ...]:
    for path in filter(Path.exists, paths):
        try:
            with h5py.File(path, 'r') as file:
                for name in filter(file.__contains__, HDF5_MEMBERS):
                    return tuple(int(side) for side in file[name].shape)
        except (OSError, AttributeError) as error:
            raise ScanDataError([f'{path} cannot be read: {error}']) from error
    raise ScanDataError([f'there is no probe in {" or ".join(map(str, paths))}'])


def _side(shape: tuple[int, ...]) -> int:
    """Return the side of a shape (N, N), (..., N, N) or (N, N, modes or frames), else 0."""
    if len(shape) < 2:
        return 0
    if shape[-1] == shape[-2]:
        return shape[-1]
    return shape[0] if len(shape) == 3 and shape[0] == shape[1] else 0
