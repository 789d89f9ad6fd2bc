"""Writing a reconstruction as a product of Ptychodus."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from ptychodus.api import io as ptychodus_io
from ptychodus.api.product import Product

from ptychopinn_plugin import __version__
from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.config.used_settings import changed_settings
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.io.ptychodus.build_product import build_reconstruction_product
from ptychopinn_plugin.io.ptychodus.history_comment import history_line
from ptychopinn_plugin.io.ptychodus.instrument import find_instrument
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.axis_orientation import orientation_decision
from ptychopinn_plugin.scan.data import ScanData

# Begins the line of a product's comments on what reconstructed it.
MADE_BY = 'ptychopinn-plugin '
# Ends that line where no reconstruction has refined the probe.
PROBE_AS_GIVEN = ', probe as given'
# A line of the comments where the probe is a placeholder, see `ScanMetadata.probe_is_unknown`.
PROBE_UNKNOWN = 'probe unknown: it is the focus of the mean frame'
# Begins the lines of a product's comments that say what was found.
REMARK, WARNING = 'found: ', 'probably wrong: '
# Begins the line with the settings.
SETTINGS = 'settings: '


def save_product(
    path: Path,
    reconstruction: Reconstruction,
    scan: ScanData,
    *,
    name: str = '',
    comments: str = '',
) -> None:
    """Write a reconstruction as a Ptychodus product (HDF5).

    The object lies where the reconstruction's positions put it; object pixels that no probe
    reached are 1. The losses are the residual of each step. The file appears whole or not at all.

    Args:
        path: the product, usually `product.h5`.
        reconstruction: what to write.
        scan: the scan that it was made from.
        name: of the product; the source's name by default.
        comments: put before the lines on backend, model and time.

    Raises:
        OutputError: the file cannot be written there.
    """
    product = build_reconstruction_product(
        reconstruction,
        scan,
        name=name or Path(scan.source).stem or 'PtychoPINN',
        comments=product_comments(reconstruction, scan, comments),
    )
    with replacing(Path(path)) as file:
        # h5py takes open files, whatever type the host's function names.
        ptychodus_io.save_product(cast('Path', file), product)


def has_refined_probe(product: Product) -> bool:
    """Return whether a product's probe comes from a reconstruction.

    Of our own products the comments say it; those of other programs have losses then.
    """
    lines = product.metadata.comments.splitlines()
    ours = [line for line in lines if line.startswith(MADE_BY)]
    return not ours[-1].endswith(PROBE_AS_GIVEN) if ours else len(product.losses) > 0


def has_unknown_probe(product: Product) -> bool:
    """Return whether a product was written from a scan without a probe, as its comments say."""
    return PROBE_UNKNOWN in product.metadata.comments.splitlines()


def product_comments(reconstruction: Reconstruction, scan: ScanData, comments: str = '') -> str:
    """Return lines on backend, model, version, time, settings and orientation, after others."""
    refined = reconstruction.probe_refined or scan.metadata.probe_is_refined
    model = f'model {reconstruction.model_name}' if reconstruction.model_name else 'no model'
    lines = [
        comments,
        f'{MADE_BY}{__version__}, backend {reconstruction.backend}, {model}, '
        f'{counted(reconstruction.iterations, "iteration")} in {reconstruction.seconds:.2f} s'
        + ('' if refined else PROBE_AS_GIVEN),
        history_line(reconstruction.history),
    ]
    # The comments that Ptychodus' page makes name the settings already.
    if reconstruction.settings and SETTINGS not in comments:
        lines.append(f'{SETTINGS}{changed_settings(reconstruction.settings)}')
    if len(reconstruction.residual):
        lines.append(f'residual {reconstruction.residual[-1]:.6g}')
    lines += [f'{REMARK}{remark}' for remark in reconstruction.remarks]
    if reconstruction.warning:
        lines.append(f'{WARNING}{reconstruction.warning}')
    # A product that is written again has the line already.
    if orientation_decision(scan) not in comments:
        lines.append(orientation_decision(scan))
    return '\n'.join(
        line for line in (*lines, *find_instrument(scan, reconstruction.pixel_size_m).notes) if line
    )
