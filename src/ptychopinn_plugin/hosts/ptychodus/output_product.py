"""Conversion of a reconstruction to the product that Ptychodus receives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from ptychodus.api.product import Product

from ptychopinn_plugin.hosts.ptychodus.run_description import MODEL_FILE
from ptychopinn_plugin.io.ptychodus.build_product import build_reconstruction_product
from ptychopinn_plugin.io.ptychodus.history_comment import HISTORY
from ptychopinn_plugin.io.ptychodus.probe_relaxation import make_probes
from ptychopinn_plugin.io.ptychodus.write_product import (
    MADE_BY,
    REMARK,
    SETTINGS,
    WARNING,
    product_comments,
)
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.axis_orientation import orientation_decision

_OURS = (MADE_BY, HISTORY, 'residual ', REMARK, WARNING, MODEL_FILE, SETTINGS)


def build_output_product(
    given: Product, scan: ScanData, reconstruction: Reconstruction, used: Sequence[str] = ()
) -> Product:
    """Return the given product with the object, and a refined probe, of a reconstruction.

    The object has the pixels and the centre of the given one; where positions lie outside, it is
    larger by whole pixels and its centre differs accordingly. Positions stay exactly as they are
    given; those of a scan that was reoriented, or that the reconstruction refined, are replaced,
    since only the new ones put the object under the frames. Those of frames that were left out, for
    they had no light, are left out too; the others keep their scan indices. The losses are the
    residual of each step.

    Args:
        given: the product that Ptychodus passed.
        scan: read from it.
        reconstruction: of that scan; a probe that it refined replaces the given one, with its
            orthogonal relaxation modes and its flux.
        used: lines for the comments, on the model and the settings.
    """
    built = build_reconstruction_product(
        reconstruction, scan, name=given.metadata.name, comments=''
    )
    # Of a reconstruction that continues another, only the last one is described.
    earlier = [line for line in given.metadata.comments.splitlines() if not line.startswith(_OURS)]
    # The lines on what was used name the settings, those of the orientation included.
    described = dataclasses.replace(reconstruction, settings=()) if used else reconstruction
    comments = '\n'.join([product_comments(described, scan, '\n'.join(earlier)), *used])
    refined = not np.array_equal(reconstruction.positions_px, scan.positions_px)
    # Frames without light: a product has a position and a probe for each frame that was used.
    fewer = scan.frame_count != len(given.probe_positions)
    moved = refined or fewer or bool(orientation_decision(scan))
    probes, found = given.probes, reconstruction.estimates
    varies = found.opr_modes is not None or found.flux is not None
    if reconstruction.probe_refined or varies or fewer:
        probes = make_probes(reconstruction.probe, found, probes.get_pixel_geometry())
    return Product(
        metadata=dataclasses.replace(given.metadata, comments=comments),
        probe_positions=built.probe_positions if moved else given.probe_positions,
        probes=probes,
        object_=built.object_,
        losses=built.losses,
    )
