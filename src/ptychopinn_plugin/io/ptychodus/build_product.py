"""Ptychodus products whose positions fall on the right pixels of their object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.object import Object, ObjectCenter, ObjectGeometry, ObjectPosition
from ptychodus.api.probe_positions import ProbePositionSequence
from ptychodus.api.product import LossValue, Product, ProductMetadata

from ptychopinn_plugin.io.ptychodus.instrument import Instrument, find_instrument
from ptychopinn_plugin.io.ptychodus.probe_relaxation import make_probes
from ptychopinn_plugin.io.ptychodus_coordinates import to_host
from ptychopinn_plugin.scan import Estimates, Reconstruction
from ptychopinn_plugin.scan.data import ComplexArray, PositionArray, ScanData


def build_reconstruction_product(
    reconstruction: Reconstruction, scan: ScanData, *, name: str, comments: str
) -> Product:
    """Return the product of a reconstruction, with its positions, pixel size and estimates.

    The losses are the residual of each step.

    Args:
        reconstruction: the reconstruction.
        scan: that it was made from: its scan index, energy, distance and object centre.
        name: of the product.
        comments: of the product.
    """
    return build_product(
        scan,
        reconstruction.object_canvas,
        reconstruction.origin_px,
        reconstruction.probe,
        name=name,
        comments=comments,
        losses=reconstruction.residual.tolist(),
        positions_px=reconstruction.positions_px,
        estimates=reconstruction.estimates,
        pixel_size_m=reconstruction.pixel_size_m,
    )


def build_product(
    scan: ScanData,
    object_canvas: ComplexArray,
    origin_px: tuple[int, int],
    probe: ComplexArray,
    *,
    name: str,
    comments: str,
    losses: Sequence[float] = (),
    positions_px: PositionArray | None = None,
    pixel_size_m: tuple[float, float] | None = None,
    estimates: Estimates | None = None,
) -> Product:
    """Return a product whose positions fall on the right pixels of its object.

    Mapped to object pixels by Ptychodus, a position gives the canonical one minus `origin_px`
    minus half a pixel (none for an odd frame side). The world coordinates are those that the scan
    was read with; where it had none, world zero is the middle of the canvas.

    Args:
        scan: the scan.
        object_canvas: complex64 (H, W); pixels that are not finite are written as 1.
        origin_px: (row, column) coordinate of the canvas' first pixel.
        probe: complex64 (modes, N, N), photons.
        name: of the product.
        comments: of the product.
        losses: from step 1; values that a log axis cannot show are left out.
        positions_px: float64 (n, 2), (row, column), object pixels; None for those of the scan.
        pixel_size_m: (height, width) of an object pixel; None for that of the scan.
        estimates: variation of the probe and flux; None for those of the scan.
    """
    instrument = find_instrument(scan, pixel_size_m)
    positions_px = scan.positions_px if positions_px is None else positions_px
    height_m, width_m = instrument.pixel_size_m
    center_y_m, center_x_m = _canvas_center(scan, object_canvas.shape, origin_px, height_m, width_m)
    geometry = ObjectGeometry(
        width_px=object_canvas.shape[1],
        height_px=object_canvas.shape[0],
        pixel_width_m=width_m,
        pixel_height_m=height_m,
        center_x_m=center_x_m,
        center_y_m=center_y_m,
    )
    pixels = PixelGeometry(width_m=width_m, height_m=height_m)
    # 1, an empty sample, where no probe reached.
    filled = np.where(np.isfinite(object_canvas), object_canvas, np.complex64(1))
    return Product(
        metadata=_metadata(name, comments, instrument, probe),
        probe_positions=_world_positions(scan, positions_px, geometry, origin_px),
        probes=make_probes(probe, scan.estimates if estimates is None else estimates, pixels),
        object_=Object(filled, pixels, ObjectCenter(x_m=center_x_m, y_m=center_y_m)),
        losses=_losses(losses),
    )


def _metadata(
    name: str, comments: str, instrument: Instrument, probe: ComplexArray
) -> ProductMetadata:
    photons = round(float(np.sum(np.abs(probe.astype(np.complex128)) ** 2)))
    # By position: Ptychodus 1.6 and 1.7 name the fourth and the seventh field differently.
    return ProductMetadata(
        name,
        comments,
        instrument.detector_distance_m,
        instrument.photon_energy_ev,
        photons,
        0.0,
        0.0,
        0.0,
    )


def _losses(losses: Sequence[float]) -> list[LossValue]:
    """Return the losses that a log axis can show."""
    return [
        LossValue(step, float(value))
        for step, value in enumerate(losses, start=1)
        if np.isfinite(value) and value > 0
    ]


def _canvas_center(
    scan: ScanData,
    shape: tuple[int, ...],
    origin_px: tuple[int, int],
    height_m: float,
    width_m: float,
) -> tuple[float, float]:
    """Return the world (y, x) of the canvas' middle, metres."""
    known = scan.metadata.object_center_m
    if known is None:
        return 0.0, 0.0
    old = (0, 0) if scan.object_guess is None else scan.object_guess.shape
    # The known centre is that of the guess; the middle of the canvas may lie elsewhere.
    moved_px = [origin_px[axis] + (shape[axis] - old[axis]) / 2 for axis in (0, 1)]
    return known[0] + moved_px[0] * height_m, known[1] + moved_px[1] * width_m


def _world_positions(
    scan: ScanData,
    positions_px: PositionArray,
    geometry: ObjectGeometry,
    origin_px: tuple[int, int],
) -> ProbePositionSequence:
    index = scan.metadata.scan_index
    numbers: npt.NDArray[np.int64] = np.arange(scan.frame_count) if index is None else index
    # Ptychodus' object starts at pixel (0, 0), ours at the origin of the canvas.
    pixels = to_host(positions_px, scan.frame_size) - np.asarray(origin_px)
    return ProbePositionSequence(
        [
            geometry.map_coordinates_object_to_probe(ObjectPosition(int(i), float(x), float(y)))
            for i, (y, x) in zip(numbers, pixels, strict=True)
        ]
    )
