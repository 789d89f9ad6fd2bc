"""`product.h5` after a batch reconstruction, which Ptychodus does not write.

Ptychodus writes one product for each output of a reconstructor, `product.000024.h5` for progress
24, and does not mark the last.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from ptychodus.api.io import StandardFileLayout

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.hosts.ptychodus.library_protocols import WorksWithoutModel
from ptychopinn_plugin.hosts.ptychodus.method_wrapping import Arguments

if TYPE_CHECKING:
    from ptychodus.model.core import ModelCore

logger = logging.getLogger(__name__)


def copy_last_product(arguments: Arguments) -> Generator[None, ModelCore, None]:
    """Copy the last numbered product of a batch reconstruction by this plugin to `product.h5`."""
    folder = Path(arguments['output_directory'])
    before = _modification_times(folder)
    model = yield
    reconstructor = model.processing_core.algorithm_parameter.get_current_reconstructor()
    if arguments['action'].lower() != 'reconstruct' or not isinstance(
        reconstructor, WorksWithoutModel
    ):
        return
    after = _modification_times(folder)
    written = sorted(path for path, time in after.items() if before.get(path) != time)
    product = StandardFileLayout.PRODUCT.path(folder)
    if not written or product in written:
        return
    if folder.resolve() == Path(arguments['input_directory']).resolve():
        logger.info('%s holds the result; %s is its input and stays', written[-1], product)
        return
    with written[-1].open('rb') as source, replacing(product) as file:
        shutil.copyfileobj(source, file)
    logger.info('%s is a copy of %s, to continue from', product, written[-1].name)


def _modification_times(folder: Path) -> dict[Path, int]:
    """Return when each product of a folder was written, in nanoseconds."""
    pattern = f'{Path(StandardFileLayout.PRODUCT).stem}*.h5'
    return {path: path.stat().st_mtime_ns for path in folder.glob(pattern)}
