"""What a preflight has to say before a reconstruction or a training."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ptychopinn_plugin.scan.data import ScanData
from ptychopinn_plugin.scan.preflight import preflight


def log_preflight(
    scan: ScanData, logger: logging.Logger, in_words_of_caller: Callable[[str], str] = str
) -> None:
    """Log the size of the canvas, and as warnings what makes a reconstruction wrong or incomplete.

    Args:
        scan: about to be reconstructed or trained on.
        logger: of the caller.
        in_words_of_caller: changes a warning that names ways to read a scan; none by default.
    """
    report = preflight(scan)
    height, width = report.canvas_shape
    logger.info(
        '%s: object canvas of %d x %d px, %.0f MB; the probe reaches %.0f %% of it',
        scan.source,
        height,
        width,
        height * width * 8 / 2**20,
        100 * report.covered_share,
    )
    for warning in report.warnings:
        logger.warning('%s: %s', scan.source, in_words_of_caller(warning))
