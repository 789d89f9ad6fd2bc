"""Reconstructions from Ptychodus products, ours and those of other programs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import cast

import numpy as np
from ptychodus.api.product import Product

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import ResultFileError
from ptychopinn_plugin.io.ptychodus.checked_files import load_product_file
from ptychopinn_plugin.io.ptychodus.history_comment import read_history
from ptychopinn_plugin.io.ptychodus.instrument import PIXEL_SIZE_UNKNOWN
from ptychopinn_plugin.io.ptychodus.probe_relaxation import read_probes
from ptychopinn_plugin.io.ptychodus.write_product import has_refined_probe
from ptychopinn_plugin.io.ptychodus_coordinates import from_host
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.result_checks import result_faults
from ptychopinn_plugin.physics.overlap_add import illumination_coverage
from ptychopinn_plugin.scan import Canvas, Reconstruction

STORED_LOSS = 'stored loss'
# The line that `product_comments` writes.
_MADE_BY = re.compile(r'backend (\w+), .* (?:step|iteration)s? in ([\d.]+) s')


def load_product_reconstruction(path: Path) -> Reconstruction:
    """Read a product as a reconstruction.

    The coverage is computed anew from positions and probe. The losses of the product become the
    residual, their stage is 'stored loss' and their formula is not known. A product that another
    program made has the backend '' and takes nan seconds.

    Raises:
        ResultFileError: no product, or one whose object has several layers or no pixel.
    """
    product = load_product_file(path, ResultFileError)
    with reading(ResultFileError, f'{path} cannot be read as a result'):
        result = _as_reconstruction(path, product)
        faults = result_faults(result)
    if faults:
        raise ResultFileError(f'{path} is not a result: ' + '; '.join(faults))
    return result


def load_product_comments(path: Path) -> str:
    """Read the comments of a product: with what settings and by which program it was made.

    Raises:
        ResultFileError: no product.
    """
    return load_product_file(path, ResultFileError).metadata.comments


def _as_reconstruction(path: Path, product: Product) -> Reconstruction:
    canvas = product.object_.get_array()
    if canvas.ndim != 3 or canvas.shape[0] != 1 or not canvas.size:
        raise ResultFileError(
            f'the object of {path} is {canvas.shape}, one layer of pixels is needed'
        )
    probe, estimates = read_probes(product.probes, len(product.probe_positions), [])
    positions = _positions(product, probe.shape[-1])
    backend, seconds = _maker(product.metadata.comments)
    losses = np.array([loss.value for loss in product.losses], dtype=np.float64)
    shape = (int(canvas.shape[1]), int(canvas.shape[2]))
    return Reconstruction(
        object_canvas=canvas[0].astype(np.complex64),
        origin_px=(0, 0),
        probe=probe,
        positions_px=positions,
        coverage=illumination_coverage(positions, probe, Canvas((0, 0), shape)),
        residual=losses,
        stages=(STORED_LOSS,) * len(losses),
        backend=cast('Backend', backend),
        seconds=seconds,
        pixel_size_m=_pixel_size(product),
        residual_name='',
        probe_refined=has_refined_probe(product),
        scan_index=np.array([p.index for p in product.probe_positions], dtype=np.int64),
        estimates=estimates,
        history=read_history(product),
    )


def _pixel_size(product: Product) -> tuple[float, float] | None:
    if PIXEL_SIZE_UNKNOWN in product.metadata.comments:
        return None
    geometry = product.object_.get_geometry()
    return geometry.pixel_height_m, geometry.pixel_width_m


def _positions(product: Product, frame_size: int) -> np.ndarray[tuple[int, ...], np.dtype]:
    geometry = product.object_.get_geometry()
    points = [geometry.map_coordinates_probe_to_object(p) for p in product.probe_positions]
    pixels = np.array([(p.y_px, p.x_px) for p in points], dtype=np.float64).reshape(-1, 2)
    return from_host(pixels, frame_size)


def _maker(comments: str) -> tuple[str, float]:
    """Return backend and seconds as our comments have them, ('', nan) from others."""
    found = _MADE_BY.search(comments)
    return (found[1], float(found[2])) if found else ('', math.nan)
