"""Random batches of frames for the laws of fused loops."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.shifts import shift_terms, shifted_images
from ptychopinn_plugin.solver.subset_sums import empty_sums
from ptychopinn_plugin.solver.sweeps import DeviceBatch, Sums, batch_expected, mode_spectra
from ptychopinn_plugin.solver.unknowns import Unknowns

# A machine that promised the backends has what their extras bring.
LOOPS_ARE_MISSING = importlib.util.find_spec('numba') is None and not os.environ.get(
    'PTYCHOPINN_REQUIRE'
)

ROOM = 23


@dataclass(frozen=True)
class World:
    """What a batch of frames has.

    Attributes:
        size: side of a frame.
        frames: of the batch.
        modes: of the probe.
        own: modes with a transform for each frame; the others are sums of shifted images.
        functions: of the probe's variation along the scan.
        flux: 'none', 'known', or 'found' from each frame.
        background: whether there is one.
        masked: whether detector pixels are bad.
        degree: of the shift terms.
    """

    size: int = 64
    frames: int = 21
    modes: int = 1
    own: int = 0
    functions: int = 0
    flux: str = 'none'
    background: bool = False
    masked: bool = False
    degree: int = 3

    def __str__(self) -> str:
        """Return what differs from the default, as the name of a test."""
        default = World()
        names = [f'{name}-{value}' for name, value in vars(self).items()]
        return '_'.join(n for n in names if n not in {f'{k}-{v}' for k, v in vars(default).items()})


WORLDS = (
    World(),
    # More frames than go through the loops together.
    World(size=128, frames=18, flux='found'),
    World(own=1),
    World(modes=3, degree=2),
    World(modes=2, own=2, flux='found'),
    World(modes=2, own=1, functions=2, background=True),
    World(own=1, functions=1, flux='known', masked=True),
    World(modes=2, flux='found', background=True, masked=True, degree=4),
    World(size=48, frames=3, flux='known', background=True, degree=5),
)


def unknowns_and_batch(
    world: World,
) -> tuple[Unknowns, DeviceBatch, npt.NDArray[np.float32] | None]:
    """Return unknowns, a batch of frames that were measured with others, and the mask."""
    rng = np.random.default_rng(5)
    size, frames = world.size, world.frames
    canvas = (size + ROOM, size + ROOM + 4)
    unknowns = Unknowns(
        1 + 0.3 * _complex(rng, *canvas),
        _probe(rng, world.modes, size),
        0.2 * _probe(rng, world.functions, size) if world.functions else None,
        rng.uniform(0, 3, (size, size)).astype(np.float32) if world.background else None,
    )
    shifts = rng.uniform(-0.5, 0.5, (frames, 2)).astype(np.float32)
    batch = DeviceBatch(
        np.zeros((frames, size, size), np.float32),
        rng.integers(0, ROOM, (frames, 2)),
        shifts,
        basis=rng.normal(size=(frames, world.functions)).astype(np.float32)
        if world.functions
        else None,
        flux=rng.uniform(0.5, 2, frames).astype(np.float32) if world.flux == 'known' else None,
        flux_trust=rng.uniform(0, 1, frames).astype(np.float32) if world.flux == 'found' else None,
    )
    batch = with_shifts(world, unknowns, batch)
    good = (rng.uniform(size=(size, size)) > 0.1).astype(np.float32) if world.masked else None
    truth = unknowns._replace(canvas_object=unknowns.canvas_object + 0.1 * _complex(rng, *canvas))
    counts = rng.poisson(
        batch_expected(ProcessorOps(), truth, batch._replace(flux_trust=None), None)
    )
    return unknowns, batch._replace(amplitudes=np.sqrt(counts).astype(np.float32)), good


def with_shifts(world: World, unknowns: Unknowns, batch: DeviceBatch) -> DeviceBatch:
    """Return a batch with images of the shifted modes but the first, and transforms of these."""
    ops, terms = ProcessorOps(), shift_terms(world.size, world.degree)
    own, rest = unknowns.probe[: world.own], unknowns.probe[world.own :]
    if len(own):
        batch = batch._replace(spectra=mode_spectra(ops, own, unknowns.variation))
    if not len(rest):
        return batch
    return batch._replace(
        shift_weights=terms.weights(batch.shifts_px),
        shift_images=shifted_images(ops, rest / np.float32(world.size), terms.factors),
    )


def sums_of(
    world: World, unknowns: Unknowns, batch: DeviceBatch, *, with_dose: bool, with_probe: bool
) -> Sums:
    """Return the sums before the batch."""
    return empty_sums(
        ProcessorOps(),
        unknowns.canvas_object.shape,
        unknowns,
        batch.shift_images,
        with_dose=with_dose,
        with_probe=with_probe,
    )


def _complex(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.complex64]:
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def _probe(rng: np.random.Generator, modes: int, size: int) -> npt.NDArray[np.complex64]:
    """Return a smooth asymmetric probe of a few photons a detector pixel."""
    y, x = (np.arange(size) / size - 0.4)[:, None], np.arange(size) / size - 0.55
    envelope = np.exp(-30 * (y**2 + 2 * x**2 + y * x) + 20j * y * x + 4j * x)
    spectrum = np.fft.fft2(_complex(rng, modes, size, size))
    low = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size))) < 0.1
    light = 20 * envelope * (1 + 2 * np.fft.ifft2(spectrum * low))
    return np.asarray(light, np.complex64)
