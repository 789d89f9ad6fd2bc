"""The command that reconstructs a scan while it is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic_settings import CliPositionalArg

from ptychopinn_plugin.cli.options.common import Command, ConfigFileFlags
from ptychopinn_plugin.config import InferenceConfig, OrientationConfig
from ptychopinn_plugin.config.model_names import PACKAGED

Unit: TypeAlias = Literal['px', 'm', 'mm', 'um', 'nm']


class Watch(Command, ConfigFileFlags, InferenceConfig, OrientationConfig):
    """Reconstruct a scan while it is recorded, from a growing HDF5 file or folder.

    A result and a picture of the frames so far are written now and then; at the end of the scan, or
    at Ctrl-C, all frames are reconstructed as by `reconstruct`.

    Examples:
      ptychopinn watch scan.h5 --positions scan.h5:/entry/pos --probe probe.npz --output object.h5
      ptychopinn watch frames --positions positions.txt --probe probe.npz --output object.npz
    """

    scan: CliPositionalArg[Path] = Field(
        description='HDF5 file that is written (SWMR), or folder that numbered files appear in; it '
        'need not be there yet'
    )
    positions: str = Field(
        description='Positions (row, column): a text file, an .npy, or a dataset as FILE.h5:/NAME'
    )
    probe: Path = Field(description='Probe file (.npz, .npy, product .h5)')
    output: Path = Field(description='The result, a new .h5 or .npz file')
    picture: Path | None = Field(None, description='Draw the result into this .png, .pdf or .svg')
    dataset: str | None = Field(
        None, description='Dataset of the frames in HDF5 files, where it is not the usual one'
    )
    external_files: bool = Field(
        False,
        description='Follow links of the HDF5 files of a folder, and of the probe, to files of any '
        'folder; otherwise to those of the same folder only',
    )
    mask: Path | None = Field(None, description='Mask of bad pixels (.npz, .npy), true where bad')
    unit: Unit = Field('px', description='Unit of the positions, px for object pixels')
    pixel_size_m: float | None = Field(
        None, gt=0, allow_inf_nan=False, description='Side of an object pixel in metres'
    )
    first_number: int = Field(0, ge=0, description='Number of the first file of a folder')
    frames_per_file: int = Field(1, ge=1, description='Frames in a full file of a folder')
    every: float = Field(10.0, gt=0, description='Seconds between two results')
    idle: float = Field(
        30.0, gt=0, description='Seconds without a new frame after which the scan has ended'
    )
    expected: int | None = Field(
        None, ge=2, description='Frames of the whole scan, where it is known: it ends with them'
    )
    memory_limit: int = Field(
        1024, ge=0, description='MiB of frames kept in memory; others go to a temporary file'
    )
    model: Path = Field(
        Path(PACKAGED),
        description='Trained model for the last result, a .safetensors file; packaged for the one '
        'of the package, none for physics alone',
    )

    @model_validator(mode='after')
    def _check_unit(self) -> Self:
        """Refuse lengths without the size of a pixel."""
        if self.unit != 'px' and self.pixel_size_m is None:
            raise ValueError(
                f'--unit {self.unit} needs --pixel-size-m, the side of an object pixel'
            )
        return self
