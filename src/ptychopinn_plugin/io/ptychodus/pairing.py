"""Frames paired with positions by scan index, and what did not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input

from ptychopinn_plugin.io.ptychodus.probe_relaxation import pair_weights


def pair(
    data: AssembledDiffractionData, product: Product
) -> tuple[ReconstructInput, tuple[str, ...]]:
    """Pair the frames of a scan with the positions of a product, as Ptychodus does it.

    Returns:
        The input of a reconstructor, with the weights of a varying probe paired too, and a sentence
        for each kind of frames and positions that did not fit.
    """
    parameters = prepare_reconstruct_input(data, product)
    decisions = _decisions(data, product, parameters)
    return _with_paired_weights(parameters, product), decisions


def _with_paired_weights(parameters: ReconstructInput, product: Product) -> ReconstructInput:
    """Pair the weights of a varying probe with the frames, which Ptychodus leaves unpaired."""
    positions, used = (
        np.array([p.index for p in one.probe_positions], dtype=np.int64)
        for one in (product, parameters.product)
    )
    probes = pair_weights(product.probes, positions, used)
    paired = dataclasses.replace(parameters.product, probes=probes)
    return dataclasses.replace(parameters, product=paired)


def _decisions(
    data: AssembledDiffractionData, product: Product, parameters: ReconstructInput
) -> tuple[str, ...]:
    """Return how frames and positions were paired, a sentence for what did not fit."""
    frames = data.get_indexes()
    positions = np.array([p.index for p in product.probe_positions], dtype=np.int64)
    used = np.array([p.index for p in parameters.product.probe_positions], dtype=np.int64)
    counted = {
        'frames have no position within the scan and were dropped': frames.size - used.size,
        'positions share their scan index with another and were averaged': positions.size
        - np.unique(positions).size,
        'frames have no position of their own; theirs was interpolated': int(
            np.count_nonzero(~np.isin(used, positions))
        ),
        'positions have no frame and were left out': int(
            np.count_nonzero(~np.isin(np.unique(positions), used))
        ),
    }
    return tuple(f'{number} {what}' for what, number in counted.items() if number)
