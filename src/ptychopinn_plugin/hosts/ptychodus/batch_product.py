"""After a batch reconstruction: `product.h5`, which Ptychodus leaves out.

Ptychodus writes one product for each output of a reconstructor, `product.000024.h5` for progress
24, and none of them says that it is the last.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ptychodus.api.io import StandardFileLayout

from ptychopinn_plugin.atomic import replacing

logger = logging.getLogger(__name__)


def completing_product(arguments: dict[str, Any]) -> Generator[None, Any, None]:
    """Copy the last numbered product of a batch reconstruction of ours to `product.h5`."""
    folder = Path(arguments['output_directory'])
    before = _times(folder)
    model = yield
    reconstructor = model.processing_core.algorithm_parameter.get_current_reconstructor()
    if arguments['action'].lower() != 'reconstruct' or not hasattr(
        reconstructor, 'works_without_model'
    ):
        return
    written = sorted(path for path, time in _times(folder).items() if before.get(path) != time)
    product = StandardFileLayout.PRODUCT.path(folder)
    if not written or product in written:
        return
    if folder.resolve() == Path(arguments['input_directory']).resolve():
        logger.info('%s holds the result; %s is its input and stays', written[-1], product)
        return
    with replacing(product) as temporary:
        shutil.copyfile(written[-1], temporary)
    logger.info('%s is %s under the name to go on with', product, written[-1].name)


def _times(folder: Path) -> dict[Path, int]:
    """Return when each product of a folder was written, nanoseconds."""
    pattern = f'{Path(StandardFileLayout.PRODUCT).stem}*.h5'
    return {path: path.stat().st_mtime_ns for path in folder.glob(pattern)}
