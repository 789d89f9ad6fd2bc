"""Frames that Ptychodus leaves out because they have no position.

It pairs frames and positions by scan index before a reconstructor gets them; frames before the
first or behind the last position are left out there without a message.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.hosts.ptychodus.library_protocols import WorksWithoutModel
from ptychopinn_plugin.hosts.ptychodus.method_wrapping import Arguments
from ptychopinn_plugin.hosts.ptychodus.run_description import chosen_product

if TYPE_CHECKING:
    from ptychodus.model.processing import ProcessingAPI

logger = logging.getLogger(__name__)


def say_what_was_dropped(arguments: Arguments) -> Generator[None, ProcessingAPI, None]:
    """Log how many frames of a dataset have no position, if this plugin gets the others."""
    api = yield
    reconstructor = api._algorithm_parameter.get_current_reconstructor()
    item = api._product_api.get_item(arguments['product_index'])
    dataset = item.get_dataset()
    if dataset is None or not isinstance(reconstructor, WorksWithoutModel):
        return
    product = item.get_product()
    sentence = describe_dropped(
        dataset.get_assembled_data().get_indexes(),
        np.array([point.index for point in product.probe_positions], dtype=np.int64),
    )
    if sentence:
        logger.warning('%s: %s', chosen_product(product.metadata.name), sentence)


def describe_dropped(frames: npt.NDArray[np.integer], positions: npt.NDArray[np.integer]) -> str:
    """Return how many frames are left out and why, '' for none.

    Args:
        frames: scan index of each frame.
        positions: scan index of each position.
    """
    if not positions.size:
        return ''
    first, last = positions.min(), positions.max()
    outside = np.flatnonzero((frames < first) | (frames > last))
    if not outside.size:
        return ''
    named = ', '.join(str(index) for index in frames[outside[:5]])
    more = ', ...' if outside.size > 5 else ''
    return (
        f'{outside.size} of {counted(frames.size, "frame")} have no position and are left out '
        f'(scan index {named}{more}; those of the positions are {first} to {last})'
    )
