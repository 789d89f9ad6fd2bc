"""Training scans of a folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import OutputError, ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus_folder
from ptychopinn_plugin.io.ptychodus_format import DIFFRACTION, PRODUCT
from ptychopinn_plugin.scan import ScanData

TRAIN_DATA = 'train_data.npz'
TEST_DATA = 'test_data.npz'
SUFFIX = '.npz'

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Scans to train on, and one to test the model on.

    Attributes:
        scans: at least one.
        test: None where the folder has none.
    """

    scans: list[ScanData]
    test: ScanData | None = None


def load_training_data(path: Path, orientation: OrientationConfig | None = None) -> TrainingData:
    """Read the training scans of a folder or file.

    Args:
        path: an .npz file, or a folder. Of a folder, the first that exists is read:
            `train_data.npz` (and `test_data.npz`), `diffraction.h5` with `product.h5`, every .npz
            file.
        orientation: rotation and flips for the positions of Ptychodus' own files; those of an .npz
            were changed when it was exported.

    Raises:
        ScanDataError: there is no scan, or a scan does not meet the data contract.
    """
    path = Path(path)
    if path.is_file():
        return TrainingData([_load(path)])
    if (path / TRAIN_DATA).is_file():
        test = path / TEST_DATA
        return TrainingData([_load(path / TRAIN_DATA)], _load(test) if test.is_file() else None)
    if (path / DIFFRACTION).is_file() and (path / PRODUCT).is_file():
        scan = load_ptychodus_folder(path, orientation=orientation)
        _log_scan(scan)
        return TrainingData([scan])
    exports = sorted(path.glob('*.npz'))
    if exports:
        return TrainingData([_load(export) for export in exports])
    raise ScanDataError(
        [
            f'there is nothing to train on in {path}: needed are {TRAIN_DATA}, or {DIFFRACTION} '
            f'and {PRODUCT}, or other .npz scans. "Export Training Data..." in the menu beside '
            'Train writes one'
        ]
    )


def export_path(path: Path) -> Path:
    """Return where training data are written: with the ending that `load_training_data` finds.

    Raises:
        OutputError: the ending has to be added, and there is such a file, which nobody offered to
            replace.
    """
    if path.suffix.lower() == SUFFIX:
        return path
    completed = path.with_name(path.name + SUFFIX)
    if completed.exists():
        raise OutputError(
            f'{path} has no ending {SUFFIX}, and {completed} is there already; choose that file '
            'to replace it, or another name'
        )
    return completed


def _load(path: Path) -> ScanData:
    scan = load_npz(path)
    _log_scan(scan)
    return scan


def _log_scan(scan: ScanData) -> None:
    logger.info(
        'Training scan %s: %d frames of %d x %d',
        scan.source,
        scan.frame_count,
        scan.frame_size,
        scan.frame_size,
    )
    for decision in scan.decisions:
        logger.info('%s', decision)
