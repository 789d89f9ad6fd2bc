"""The .npz reader: canonical files, legacy files and what Ptychodus exports for PtychoPINN."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from ptychopinn_plugin.io import npz_arrays as parts
from ptychopinn_plugin.io import npz_scalars as npz_metadata
from ptychopinn_plugin.io.measurement_domain import (
    Domain,
    are_whole_numbers,
    decide_domain,
    negative_amplitudes,
    square_in_place,
)
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.npz_frames import (
    AxisOrder,
    StoredFrames,
    move_zero_frequency,
    read_frames,
)
from ptychopinn_plugin.io.npz_true_patches import read_true_patches
from ptychopinn_plugin.io.ptychodus_coordinates import from_host
from ptychopinn_plugin.scan.builder import Draft
from ptychopinn_plugin.scan.data import ComplexArray, ScanData, ScanMetadata
from ptychopinn_plugin.scan.photon_scale import scale_to_photons

ZeroFrequency: TypeAlias = Literal['center', 'corner']


def load_npz(
    path: Path,
    *,
    domain: Domain | None = None,
    axis_order: AxisOrder | None = None,
    dc: ZeroFrequency = 'center',
    photons: float | None = None,
    probe: Path | ComplexArray | None = None,
    true_patches: bool = True,
) -> ScanData:
    """Read a scan from an .npz file; nothing is ever unpickled.

    Three forms are read: the canonical one (`diffraction` (n, N, N) amplitude, `xcoords`,
    `ycoords`, `probeGuess`, optional `objectGuess`, `bad_pixels` and `Y`), the legacy one
    (`diff3d`, also as (N, N, n), any real dtype) and the one that Ptychodus exports for PtychoPINN
    (counts under `diff3d` with `bad_pixels` beside it, positions half a pixel off ours). Frames
    are read once; the memory needed is that of the float32 frames, of `Y` and a few megabytes.

    Args:
        path: the file.
        domain: what the frames hold; None to find out.
        axis_order: 'nhw' for frames on the first axis, 'hwn' on the last; None to find out.
        dc: where the zero frequency lies: 'center' (pixel N//2) or 'corner' (pixel 0).
        photons: mean photons a frame that the frames are scaled to; None leaves it to the file.
        probe: a file (.npz with `probeGuess` or `probe`, .npy) or an array, complex (N, N) or
            (modes, N, N), in place of the file's own.
        true_patches: False leaves `Y` unread; only a training on known objects needs it.

    Returns:
        The scan; `decisions` says what was decided and why.

    Raises:
        ScanDataError: with every fault found.
    """
    path = Path(path)
    draft = Draft(source=str(path))
    with NpzArchive(path) as members:
        draft.positions_px = draft.attempt(parts.read_positions, members)
        draft.object_guess = draft.attempt(parts.read_object_guess, members, draft.decisions)
        if probe is None:
            draft.probe = draft.attempt(parts.read_probe, members, draft.decisions)
        else:
            draft.probe = draft.attempt(parts.given_probe, probe, draft.decisions)
        declared = draft.attempt(npz_metadata.read_declared_domain, members)
        nphotons = draft.attempt(npz_metadata.read_nphotons, members)
        stored = _read_frames(draft, members, axis_order)
        if stored is None:
            return draft.finish()
        draft.counts = stored.values
        shape = (stored.values.shape[1], stored.values.shape[2])
        draft.mask = draft.attempt(parts.read_mask, members, shape, draft.decisions)
        if true_patches:
            draft.true_patches = draft.attempt(
                read_true_patches, members, stored.values.shape, axis_order, draft.decisions
            )
        metadata = draft.attempt(npz_metadata.read_metadata, members, len(stored.values))
        draft.metadata = metadata or ScanMetadata()
        export = stored.key == 'diff3d' and 'bad_pixels' in members
    if export and draft.positions_px is not None:
        draft.positions_px = from_host(draft.positions_px, shape[1])
        draft.decisions.append(
            'positions were moved by half a pixel from the convention of Ptychodus, which wrote '
            "the file ('bad_pixels' beside 'diff3d'), to the one used here"
        )
    factor = _to_photons(draft, stored, (declared, domain, export), photons, nphotons)
    if dc == 'corner':
        draft.mask = move_zero_frequency(stored.values, draft.mask)
        draft.decisions.append('frames were turned from zero frequency in the corner to the centre')
    return draft.finish(factor)


def _read_frames(
    draft: Draft, members: NpzArchive, axis_order: AxisOrder | None
) -> StoredFrames | None:
    positions = None if draft.positions_px is None else len(draft.positions_px)
    return draft.attempt(read_frames, members, positions, axis_order, draft.decisions)


def _to_photons(
    draft: Draft,
    stored: StoredFrames,
    signs: tuple[str | None, Domain | None, bool],
    photons: float | None,
    nphotons: float | None,
) -> float:
    """Make the draft's counts photons and return what their intensities were multiplied by."""
    declared, asked, export = signs
    domain, reason = decide_domain(stored, declared, asked, export)
    draft.decisions.append(reason)
    if draft.mask is not None:
        stored.values[:, draft.mask] = 0
    are_counts = domain == 'counts'
    if domain == 'amplitude':
        draft.faults += negative_amplitudes(stored.values, stored.key)
        square_in_place(stored.values)
        if are_whole_numbers(stored.values):
            are_counts = True
            np.rint(stored.values, out=stored.values)
            draft.decisions.append('the squares are whole numbers, so they are photon counts')
    return scale_to_photons(stored.values, photons, nphotons, are_counts, draft.decisions)
