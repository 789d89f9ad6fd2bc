"""A scan as Ptychodus stores it, and an engine that records its calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from ptychodus.api.io import load_diffraction_data, load_product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input

from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanData, ScanMetadata
from tests.helpers import KnownScan, make_known_scan
from tests.ptychodus.fake_engines import SlowEngine


@pytest.fixture(scope='session')
def known() -> KnownScan:
    made = make_known_scan(frame_size=32, side=6, step_px=4.0, bad_pixels=5)
    metadata = ScanMetadata(
        pixel_size_m=(1.1e-8, 1.3e-8),
        photon_energy_ev=8800.0,
        detector_distance_m=1.9,
        object_center_m=(3.2e-6, -7.1e-6),
    )
    scan = made.scan
    return KnownScan(
        ScanData(
            counts=scan.counts,
            positions_px=scan.positions_px,
            probe=scan.probe,
            mask=scan.mask,
            object_guess=scan.object_guess,
            metadata=metadata,
            source='sample.npz',
        ),
        made.ground_truth,
    )


@pytest.fixture(scope='session')
def stored(tmp_path_factory: pytest.TempPathFactory, known: KnownScan) -> Path:
    """Return a folder with `diffraction.h5` and `product.h5`, not to be written to."""
    folder = tmp_path_factory.mktemp('stored')
    save_ptychodus_pair(folder, known.scan)
    return folder


@pytest.fixture
def folder(tmp_path: Path, stored: Path) -> Path:
    """Return a folder of one's own with `diffraction.h5` and `product.h5`."""
    made = tmp_path / 'scan'
    made.mkdir()
    for file in stored.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    return made


@pytest.fixture
def parameters(stored: Path) -> ReconstructInput:
    return prepare_reconstruct_input(
        load_diffraction_data(stored / 'diffraction.h5'), load_product(stored / 'product.h5')
    )


@pytest.fixture
def engine_type() -> type[SlowEngine]:
    """Return a fresh class of engines, to be changed at will."""

    class Engine(SlowEngine):
        made: list[SlowEngine] = []  # noqa: RUF012

    return Engine
