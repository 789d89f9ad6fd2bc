"""The .npz reader: canonical files, legacy files and what Ptychodus exports for PtychoPINN."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import npz_arrays, npz_scalars
from ptychopinn_plugin.io.axis_order import AxisOrder
from ptychopinn_plugin.io.detector_gain import without_gain
from ptychopinn_plugin.io.file_format import InstrumentOptions, ZeroFrequency
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.measurement_domain import (
    DOMAIN_NAMES,
    Domain,
    are_whole_numbers,
    counts_with_gain,
    decide_domain,
    domain_of_photons,
    negative_amplitudes,
    rounded,
    squared,
)
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.npz_estimates import read_estimates
from ptychopinn_plugin.io.npz_frames import (
    StoredFrames,
    move_zero_frequency,
    read_frames,
)
from ptychopinn_plugin.io.npz_geometry import (
    complete_geometry,
    convert_metres,
    refuse_instrument_options,
)
from ptychopinn_plugin.io.npz_true_patches import read_true_patches
from ptychopinn_plugin.io.ptychodus_coordinates import from_host
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.separate_frames import read_separate_frames
from ptychopinn_plugin.scan.advice import UNDECIDED
from ptychopinn_plugin.scan.builder import ScanBuilder
from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, ScanData, ScanMetadata
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.frame_source import zero_pixels
from ptychopinn_plugin.scan.photon_scale import scale_to_photons


def load_npz(
    path: Path,
    *,
    domain: Domain | None = None,
    axis_order: AxisOrder | None = None,
    dc: ZeroFrequency = 'center',
    photons: float | None = None,
    probe: Path | ComplexArray | None = None,
    needs_probe: bool = True,
    true_patches: bool = True,
    mask: BoolArray | None = None,
    frames_in_memory: FramesInMemory = 'auto',
    frames: str | None = None,
    external_files: bool = False,
    instrument: InstrumentOptions | None = None,
) -> ScanData:
    """Read a scan from an .npz file; nothing is ever unpickled.

    Three forms are read: the canonical one (`diffraction` (n, N, N) amplitude, `xcoords`,
    `ycoords`, `probeGuess`, optional `objectGuess`, `bad_pixels`, `Y`, and the
    members of `Estimates`), the legacy one
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
        needs_probe: False takes a file without a probe, which a reconstruction then estimates.
        true_patches: False leaves `Y` unread; only a training on known objects needs it.
        mask: bool (N, N), True for pixels that are bad beside the file's own, zero frequency at
            N//2.
        frames_in_memory: see `load_scan`.
        frames: see `load_scan`.
        external_files: see `load_scan`.
        instrument: the geometry, where the file does not have it.

    Returns:
        The scan; `decisions` says how the file was interpreted and why.

    Raises:
        ScanDataError: with every fault found.
    """
    path = Path(path)
    instrument = instrument or InstrumentOptions()
    refuse_instrument_options(instrument)
    builder = ScanBuilder(source=str(path))
    with reading(_refusal, f'{path} cannot be read'), NpzArchive(path) as archive:
        unknown = probe is None and not needs_probe and 'probeGuess' not in archive
        _read_positions_probe_object(builder, archive, probe, unknown=unknown)
        declared = builder.attempt(npz_scalars.read_declared_domain, archive)
        nphotons = builder.attempt(npz_scalars.read_nphotons, archive)
        separate = None
        if frames is not None:
            separate = partial(
                read_separate_frames, frames, frames_in_memory, external_files=external_files
            )
        stored = _read_frames(builder, archive, axis_order, frames_in_memory, separate)
        if stored is None:
            return builder.build()
        # In the order that the file has its frames in.
        if mask is not None and dc == 'corner':
            mask = np.fft.ifftshift(mask)
        builder.add_mask(mask)
        if true_patches:
            builder.true_patches = builder.attempt(
                read_true_patches, archive, stored.values.shape, stored.order, builder.decisions
            )
        builder.estimates = builder.attempt(read_estimates, archive) or builder.estimates
        found = builder.attempt(npz_scalars.read_metadata, archive, len(stored.values))
        size = stored.values.shape[2]
        metadata = builder.attempt(
            complete_geometry, archive, found or ScanMetadata(), instrument, size
        )
        builder.metadata = dataclasses.replace(metadata or ScanMetadata(), probe_is_unknown=unknown)
        convert_metres(builder, size)
        # Only Ptychodus, from 1.7 on, writes both.
        export = stored.key == 'diff3d' and 'bad_pixels' in archive
    if export:
        _shift_exported_positions(builder, size)
    factor = scale_counts(builder, stored, (declared, domain, export), photons, nphotons)
    builder.estimates = _in_photons(builder.estimates, factor, dc)
    if dc == 'corner':
        assert builder.counts is not None
        builder.counts, builder.mask = move_zero_frequency(builder.counts, builder.mask)
        builder.decisions.append(
            'the zero frequency of the frames was moved from the corner to the centre'
        )
    return builder.build(factor)


def _refusal(text: str) -> ScanDataError:
    return ScanDataError([text])


def _read_positions_probe_object(
    builder: ScanBuilder,
    archive: NpzArchive,
    probe: Path | ComplexArray | None,
    *,
    unknown: bool,
) -> None:
    builder.positions_px = builder.attempt(npz_arrays.read_positions, archive)
    builder.object_guess = builder.attempt(npz_arrays.read_object_guess, archive, builder.decisions)
    if unknown:
        builder.decisions.append('the file has no probe: it is estimated from the frames')
    elif probe is None:
        builder.probe = builder.attempt(npz_arrays.read_probe, archive, builder.decisions)
    else:
        builder.probe = builder.attempt(npz_arrays.given_probe, probe, builder.decisions)


def _read_frames(
    builder: ScanBuilder,
    archive: NpzArchive,
    axis_order: AxisOrder | None,
    frames_in_memory: FramesInMemory,
    separate: Callable[[list[str]], StoredFrames] | None,
) -> StoredFrames | None:
    """Read frames and mask; return the frames as stored, None where they could not be read.

    Args:
        builder: gets frames and mask.
        archive: the file.
        axis_order: see `load_npz`.
        frames_in_memory: see `load_npz`.
        separate: reads frames that lie in a file of their own.
    """
    positions = None if builder.positions_px is None else len(builder.positions_px)
    if separate is None:
        stored = builder.attempt(
            read_frames, archive, positions, axis_order, builder.decisions, frames_in_memory
        )
    else:
        stored = builder.attempt(separate, builder.decisions)
    if stored is not None:
        builder.counts = stored.values
        shape = (stored.values.shape[1], stored.values.shape[2])
        builder.mask = builder.attempt(npz_arrays.read_mask, archive, shape, builder.decisions)
    return stored


def _shift_exported_positions(builder: ScanBuilder, frame_size: int) -> None:
    if builder.positions_px is None:
        return
    builder.positions_px = from_host(builder.positions_px, frame_size)
    builder.decisions.append(
        'positions were moved by half a pixel from the convention of Ptychodus, which wrote '
        "the file ('bad_pixels' beside 'diff3d'), to the one used here"
    )


def _in_photons(estimates: Estimates, factor: float, dc: ZeroFrequency) -> Estimates:
    """Return estimates whose background is scaled and centred as the frames are."""
    background = estimates.background
    if background is None:
        return estimates
    if dc == 'corner':
        background = np.fft.fftshift(background)
    return dataclasses.replace(estimates, background=background * np.float32(factor))


def scale_counts(
    builder: ScanBuilder,
    stored: StoredFrames,
    origin: tuple[str | None, Domain | None, bool],
    photons: float | None,
    nphotons: float | None,
) -> float:
    """Make the builder's counts photons and return the factor of their intensities.

    Args:
        builder: with mask and probe as far as they are known; its counts are set.
        stored: the frames.
        origin: the domain that the file declares, the one that was asked for, and whether Ptychodus
            exported the file.
        photons: the user's mean photons a frame.
        nphotons: the file's own.
    """
    declared, asked, export = origin
    if builder.mask is not None:
        # Bad pixels may hold anything; they must not count as photons.
        stored = dataclasses.replace(stored, values=zero_pixels(stored.values, builder.mask))
    builder.counts = stored.values
    builder.leave_out_missing(stored.dtype)
    stored = dataclasses.replace(stored, values=builder.counts)
    if (asked or DOMAIN_NAMES.get(declared or '')) != 'amplitude':
        has_noise = builder.settle_negative_values(stored.dtype)
        stored = dataclasses.replace(stored, values=builder.counts, below_zero=has_noise)
    domain, reason = decide_domain(stored, declared, asked, export)
    gain = 1.0
    if UNDECIDED in reason and (found := counts_with_gain(stored, builder.probe, builder.mask)):
        domain, (gain, reason) = 'counts', found
        builder.counts = without_gain(builder.counts, gain)
    elif UNDECIDED in reason and nphotons is None and builder.probe is not None:
        domain, reason = domain_of_photons(stored, builder.probe, builder.mask) or (domain, reason)
    builder.decisions.append(reason)
    builder.mask_largest_values(stored.dtype)
    are_counts = domain == 'counts'
    if domain == 'amplitude':
        builder.faults += negative_amplitudes(builder.counts, stored.key)
        # After the cast to float32: small integers would wrap around.
        builder.counts = squared(builder.counts)
        if are_whole_numbers(builder.counts):
            are_counts = True
            # Squares of float32 roots miss whole numbers by rounding.
            builder.counts = rounded(builder.counts)
            builder.mask_largest_values(stored.dtype)
            builder.decisions.append('the squares are whole numbers, so they are photon counts')
    builder.counts, factor = scale_to_photons(
        builder.counts, photons, nphotons, are_counts, builder.decisions
    )
    return factor / gain
