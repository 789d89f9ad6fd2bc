"""Any scan file, whatever its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.scan.data import ComplexArray

DIFFRACTION = 'diffraction.h5'
PRODUCT = 'product.h5'
HDF5_ENDINGS = ('.h5', '.hdf5')


def load_scan(
    path: Path | str,
    *,
    product: Path | None = None,
    domain: Literal['counts', 'amplitude'] | None = None,
    axis_order: Literal['nhw', 'hwn'] | None = None,
    dc: Literal['center', 'corner'] = 'center',
    photons: float | None = None,
    probe: Path | ComplexArray | None = None,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    true_patches: bool = True,
) -> ScanData:
    """Read a scan from an .npz, a Ptychodus folder, or one of its two files.

    Args:
        path: an .npz; a folder with `diffraction.h5` and `product.h5`; or one of these, the other
            lying beside it.
        product: the product, where it lies elsewhere than beside the diffraction file.
        domain: .npz only: what the frames hold; None to find out.
        axis_order: .npz only: 'nhw' or 'hwn'; None to find out.
        dc: .npz only: where the zero frequency lies, 'center' or 'corner'.
        photons: .npz only: mean photons a frame that the frames are scaled to.
        probe: in place of the scan's own: an .npz with `probeGuess` or `probe`, an .npy, a
            Ptychodus product, or an array complex (modes, N, N).
        flip_x: reverse the columns of the positions, after a transpose.
        flip_y: reverse the rows of the positions, after a transpose.
        transpose: swap rows and columns of the positions.
        true_patches: .npz only: False leaves `Y`, the true patches, unread.

    Returns:
        The checked scan; its `decisions` say what was decided on the way and why.

    Raises:
        ScanDataError: with every fault found, or for a path that is no scan.
    """
    path = Path(path)
    probe = _given_probe(probe)
    pair = _ptychodus_pair(path, product)
    if pair is None:
        scan = load_npz(
            path,
            domain=domain,
            axis_order=axis_order,
            dc=dc,
            photons=photons,
            probe=probe,
            true_patches=true_patches,
        )
    else:
        from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus

        _refuse(
            path,
            domain=domain is not None,
            axis_order=axis_order is not None,
            dc=dc != 'center',
            photons=photons is not None,
        )
        scan = load_ptychodus(*pair, probe=probe)
    return orient(scan, flip_x=flip_x, flip_y=flip_y, transpose=transpose)


def _refuse(path: Path, **given: bool) -> None:
    """Refuse options that mean nothing for Ptychodus' files, whose contents are settled."""
    faults = [
        f'--{name.replace("_", "-")} is for .npz files; {path} comes from Ptychodus: leave it out'
        for name, is_given in given.items()
        if is_given
    ]
    if faults:
        raise ScanDataError(faults)


def _given_probe(probe: Path | ComplexArray | None) -> Path | ComplexArray | None:
    if not isinstance(probe, str | Path) or Path(probe).suffix.lower() not in HDF5_ENDINGS:
        return probe
    from ptychopinn_plugin.io.ptychodus.read_scan import load_product_probe

    return load_product_probe(Path(probe))


def _ptychodus_pair(path: Path, product: Path | None) -> tuple[Path, Path] | None:
    """Return (diffraction file, product), or None for a path that is no file of Ptychodus."""
    if path.is_dir():
        return path / DIFFRACTION, product or path / PRODUCT
    if path.suffix.lower() not in HDF5_ENDINGS:
        return None
    if product is None and _is_product(path):
        return path.with_name(DIFFRACTION), path
    return path, product or path.with_name(PRODUCT)


def _is_product(path: Path) -> bool:
    try:
        with h5py.File(path, 'r') as file:
            return 'probe' in file and 'patterns' not in file
    except OSError:
        return path.name == PRODUCT
