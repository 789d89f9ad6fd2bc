"""Flags that several commands take; those of the configs are declared there and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ptychopinn_plugin.config import (
    Backend,
    Config,
    ExecutionConfig,
    GroupingConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.simulation.config import SimulationConfig

if TYPE_CHECKING:
    from ptychopinn_plugin.scan import ScanData

AnyConfig = TypeVar('AnyConfig', bound=Config)

POSITIONAL = ('scan', 'result', 'model_file', 'out')


class Command(BaseModel):
    """What every command takes."""

    model_config = ConfigDict(frozen=True, extra='forbid', protected_namespaces=())

    quiet: bool = Field(False, description='No progress and no remarks, only results')
    debug: bool = Field(False, description='Say everything, and show where an error came from')

    @field_validator('*', mode='before')
    @classmethod
    def _typed_choice(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        """Take a choice for what it says: what is typed is text, some choices are numbers."""
        choices = get_args(cls.model_fields[str(info.field_name)].annotation)
        return next((c for c in choices if isinstance(c, int) and str(c) == value), value)

    def cli_cmd(self) -> None:
        """Set up what the command says and run it."""
        from ptychopinn_plugin.cli.console import set_up_logging

        set_up_logging(quiet=self.quiet, debug=self.debug)
        self.run()

    def run(self) -> None:
        """Run the command."""
        raise NotImplementedError

    def part(self, config: type[AnyConfig]) -> AnyConfig:
        """Return the config that some of the flags belong to."""
        named = {name: getattr(self, name) for name in config.model_fields}
        return config.model_validate(named)


class ScanFlags(Command):
    """How scans are to be read."""

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
    product: Path | None = Field(
        None, description='Ptychodus product, where it does not lie beside the diffraction file'
    )
    flip_x: bool = Field(False, description='Turn the positions round along x')
    flip_y: bool = Field(False, description='Turn the positions round along y')
    transpose: bool = Field(False, description='Swap x and y of the positions, before the flips')

    def load(self, path: Path, *, true_patches: bool = False) -> ScanData:
        """Read a scan as the flags say, and tell what was decided on the way."""
        from ptychopinn_plugin.cli.scan_loading import load

        return load(path, self, true_patches=true_patches)


class EngineFlags(ExecutionConfig):
    """Where the work runs."""

    backend: Backend | None = Field(  # type: ignore[assignment]
        None, description='Framework that computes; the installed one where not given'
    )

    def typed(self, *configs: type[Config]) -> dict[str, Any]:
        """Return what was typed of some configs."""
        return {
            name: getattr(self, name)
            for config in configs
            for name in config.model_fields
            if name in self.model_fields_set
        }

    def execution(self) -> ExecutionConfig:
        """Return the execution config, with the installed backend where none was named."""
        from ptychopinn_plugin.backends.registry import with_backend

        typed = self.typed(ExecutionConfig)
        return with_backend(ExecutionConfig.model_validate(typed), None)


class ConfigFileFlags(EngineFlags):
    """Settings from a file, which those that are typed beat."""

    config: Path | None = Field(
        None, description='Settings in a .toml or .yaml file; flags that are typed beat it'
    )


GROUPS: dict[type[BaseModel], str] = {
    SimulationConfig: 'simulated scan',
    InferenceConfig: 'reconstruction',
    TrainingConfig: 'training',
    ModelConfig: 'network',
    GroupingConfig: 'groups of frames',
    ScanFlags: 'reading the scan',
    ExecutionConfig: 'execution',
    Command: 'messages',
}
"""Title in the help of the flags that a class declares, in the order they are shown."""
