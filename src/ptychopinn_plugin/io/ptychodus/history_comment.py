"""The line of a product's comments on its passes, from which a reconstruction continues it."""

from __future__ import annotations

import re

from ptychodus.api.product import Product

from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.scan import PassHistory

# Begins the line.
HISTORY = 'to continue from: '
_LINE = re.compile(rf'^{HISTORY}(\d+) iterations?, (\d+) subsets?(.*)$', re.MULTILINE)
_AUTOMATIC, _PROBE, _BACKGROUND = 'automatic settings', 'probe updated', 'background estimated'
_POSITIONS = re.compile(r'positions updated by ([\d.]+) px')


def history_line(history: PassHistory) -> str:
    """Return the line, '' where no passes are known."""
    if not history.iterations:
        return ''
    said = {
        _AUTOMATIC: history.automatic,
        _PROBE: history.updates_probe,
        _BACKGROUND: history.finds_background,
        f'positions updated by {history.position_errors_px:.3f} px': history.moves_frames,
    }
    numbers = (counted(history.iterations, 'iteration'), counted(history.subsets, 'subset'))
    return HISTORY + ', '.join((*numbers, *(name for name, is_so in said.items() if is_so)))


def read_history(product: Product) -> PassHistory:
    """Return the passes that a product comes from.

    Those of other programs, and older ones, count a pass for each loss.
    """
    lines = _LINE.findall(product.metadata.comments)
    if not lines:
        return PassHistory(iterations=len(product.losses))
    iterations, subsets, said = lines[-1]
    moved = _POSITIONS.search(said)
    return PassHistory(
        int(iterations),
        int(subsets),
        automatic=_AUTOMATIC in said,
        updates_probe=_PROBE in said,
        moves_frames=moved is not None,
        position_errors_px=float(moved[1]) if moved else 0.0,
        finds_background=_BACKGROUND in said,
    )
