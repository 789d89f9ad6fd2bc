"""Flags that several commands take; those of the configs are declared there and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ptychopinn_plugin.config import (
    Backend,
    Config,
    ExecutionConfig,
    GroupingConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.limits import ConstraintConfig
from ptychopinn_plugin.config.simulation import SimulationConfig

AnyConfig = TypeVar('AnyConfig', bound=Config)

SCAN = '.npz file, folder of Ptychodus files, or file of an instrument'
POSITIONAL = ('scan', 'result', 'model_file', 'out')
# Stands for the name of a scan's file, without its ending, in the name of that of its positions.
NAME = '{name}'


class Command(BaseModel):
    """Flags of every command."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=())

    quiet: bool = Field(False, description='No progress and no remarks, only results')
    debug: bool = Field(False, description='Say everything, and show where an error came from')

    @field_validator('*', mode='before')
    @classmethod
    def _typed_choice(cls, value: object, info: ValidationInfo) -> object:
        """Return the number that a typed text stands for where a field has numbers as choices."""
        choices = get_args(cls.model_fields[str(info.field_name)].annotation)
        return next((c for c in choices if isinstance(c, int) and str(c) == value), value)

    def extract(self, config: type[AnyConfig]) -> AnyConfig:
        """Return the config that some of the flags belong to."""
        named = {name: getattr(self, name) for name in config.model_fields}
        return config.model_validate(named)


class ScanFlags(Command, OrientationConfig):
    """Flags on how a scan is read."""

    domain: Literal['counts', 'amplitude'] | None = Field(
        None, description='What the frames hold; read from the file where not given'
    )
    axis_order: Literal['nhw', 'hwn'] | None = Field(
        None, description='Order of the axes of the stack, n for frames; seen where not given'
    )
    dc: Literal['center', 'corner'] = Field(
        'center', description='Where the frames have their zero frequency'
    )
    photons: float | None = Field(
        None, gt=0, description='Mean photons a frame, where the frames are normalised'
    )
    probe: Path | None = Field(
        None, description="Probe file (.npz, .npy, product .h5) in place of the scan's own"
    )
    background: Path | None = Field(
        None, description='Background of the detector (.npy image, .npz), counts a pixel'
    )
    mask: Path | None = Field(
        None, description="Mask of bad pixels (.npz, .npy), true where bad, beside the scan's own"
    )
    frames: str | None = Field(
        None,
        description='The frames, where they lie in a file of their own: an .npy, or an HDF5 file '
        '(CXI, NeXus), with :/name/of/dataset behind it where it is not the usual one',
    )
    external_files: bool = Field(
        False,
        description='Follow links of HDF5 files to files of any folder; otherwise to those of the '
        'same folder only',
    )
    frames_in_memory: Literal['auto', 'yes', 'no'] = Field(
        'auto',
        description='Read the frames into memory, or leave them in their file and read batches; '
        'auto reads them where they fit',
    )
    product: Path | None = Field(
        None, description='Ptychodus product, where it does not lie beside the diffraction file'
    )
    diffraction_type: str | None = Field(
        None,
        description="Ptychodus' name for the type of an instrument's file, such as CXI or "
        'APS_Velociprobe; found from the file where not given',
    )
    positions: str | None = Field(
        None,
        description='Positions of an instrument in a file of their own, with :TYPE behind it where '
        'the type is not found from the file; {name} in it stands for the name of the scan',
    )
    crop: int | None = Field(
        None, ge=2, description='Side N of the square around the beam that is read of each frame'
    )
    beam_center: str | None = Field(
        None,
        pattern='^[0-9]+,[0-9]+$',
        description='Detector pixel of the zero frequency, as ROW,COLUMN',
    )
    detector_distance_m: float | None = Field(
        None, gt=0, description='Sample to detector, metres, where the files do not say'
    )
    photon_energy_ev: float | None = Field(
        None, gt=0, description='Photon energy, electronvolts, where the files do not say'
    )
    detector_pixel_size_m: float | None = Field(
        None, gt=0, description='Pixel of the detector, metres, where the files do not say'
    )
    pixel_size_m: float | None = Field(
        None, gt=0, description='Pixel of the object, metres, in place of the three above'
    )

    def beam_pixel(self) -> tuple[int, int] | None:
        """Return (row, column) of the zero frequency on the detector, None where not given."""
        if self.beam_center is None:
            return None
        row, column = self.beam_center.split(',')
        return int(row), int(column)

    def positions_of(self, scan: Path) -> str | None:
        """Return the file of a scan's positions, with the name of the scan put in."""
        return None if self.positions is None else self.positions.replace(NAME, scan.stem)


class EngineFlags(ExecutionConfig):
    """Flags of backend, device and training."""

    backend: Backend | None = Field(  # type: ignore[assignment]
        None, description='Framework that computes; the installed one where not given'
    )

    def typed_settings(self, *configs: type[Config]) -> dict[str, Any]:
        """Return the fields of some configs that were typed."""
        return {
            name: getattr(self, name)
            for config in configs
            for name in config.model_fields
            if name in self.model_fields_set
        }

    def execution(self) -> ExecutionConfig:
        """Return the execution config, with the installed backend where none was named."""
        from ptychopinn_plugin.backends.registry import with_backend

        typed = self.typed_settings(ExecutionConfig)
        return with_backend(ExecutionConfig.model_validate(typed), None)


class ConfigFileFlags(EngineFlags):
    """Settings from a file; typed flags override them."""

    config: Path | None = Field(
        None, description='Settings in a .toml or .yaml file; typed flags override it'
    )


GROUPS: dict[type[BaseModel], str] = {
    SimulationConfig: 'simulated scan',
    InferenceConfig: 'reconstruction',
    ConstraintConfig: 'constraints',
    TrainingConfig: 'training',
    ModelConfig: 'network',
    GroupingConfig: 'groups of frames',
    ScanFlags: 'reading the scan',
    OrientationConfig: 'reading the scan',
    ExecutionConfig: 'execution',
    Command: 'messages',
}
"""Title in the help of the flags that a class declares, in the order they are shown."""
