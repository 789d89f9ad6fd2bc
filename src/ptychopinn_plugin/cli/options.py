"""What can be typed: one class a command, its flags inherited from the configs.

A flag is a field; those of the configs are declared there and nowhere else. Commands are imported
when they run, so that `--help` is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    get_subcommand,
)

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
    from ptychopinn_plugin.contract import ScanData

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

    def load(self, path: Path) -> ScanData:
        """Read a scan as the flags say, and tell what was decided on the way."""
        from ptychopinn_plugin.cli.loading import load

        return load(path, self)


class EngineFlags(ExecutionConfig):
    """Where the work runs."""

    backend: Backend | None = Field(  # type: ignore[assignment]
        None, description='Framework that computes; the installed one where not given'
    )

    def execution(self) -> ExecutionConfig:
        """Return the execution config, with the installed backend where none was named."""
        from ptychopinn_plugin.engines.choice import with_backend

        named = {name: getattr(self, name) for name in ExecutionConfig.model_fields}
        del named['backend']
        return with_backend(ExecutionConfig.model_validate(named), self.backend)


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


class Backends(Command):
    """Show what is installed: backends, versions, devices."""

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.backends import run

        run()


class Simulate(Command, SimulationConfig):
    """Simulate a scan with a known object.

    The object is stored with the scan as `objectGuess` of an .npz file; an .h5 file is for the
    window of Ptychodus and does not tell the object.

    Examples:
      ptychopinn simulate star.npz --object-kind siemens --rows 20 --columns 20 --seed 1
      ptychopinn simulate star.h5 --object-kind siemens
    """

    out: CliPositionalArg[Path] = Field(description='The scan, a new .npz or .h5 file')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.simulate import run

        run(self)


class Check(ScanFlags):
    """Check a scan before it is reconstructed.

    Says what the file holds and how it was read, and looks at photons, overlap, orientation,
    the place of the zero frequency, and the probe.

    Examples:
      ptychopinn check scan.npz
      ptychopinn check folder-with-diffraction.h5-and-product.h5 --json
    """

    scan: CliPositionalArg[Path] = Field(description='.npz file, or folder of Ptychodus files')
    trials: bool = Field(True, description='Tell the orientation from short reconstructions')
    as_json: bool = Field(False, alias='json', description='Print JSON, for other programs')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.check import run

        run(self)


class Train(ScanFlags, EngineFlags, ModelConfig, TrainingConfig):
    """Train a network on scans; no object needs to be known.

    Ctrl-C stops the training and saves the best model so far. Logs and checkpoints go to a folder
    beside the model, for model.safetensors to model-training.

    Examples:
      ptychopinn train scan.npz --model model.safetensors --epochs 10
      ptychopinn train a.npz b.npz c.npz --model model.safetensors --backend pytorch
      ptychopinn train scan.npz --model model.safetensors --resume
    """

    scan: CliPositionalArg[list[Path]] = Field(
        description='.npz files, or folders of Ptychodus files', min_length=1
    )
    model: Path = Field(description='The model, a new .safetensors file')
    resume: bool = Field(
        False, description='Go on with the training that was interrupted beside the same --model'
    )

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.train import run

        run(self)


class Reconstruct(ScanFlags, EngineFlags, InferenceConfig):
    """Reconstruct a scan, by a trained network and physics or by physics alone.

    OUTPUT decides the kind of file: .h5 is a Ptychodus product, .npz holds plain arrays.

    Examples:
      ptychopinn reconstruct scan.npz --output object.h5 --picture object.png
      ptychopinn reconstruct scan.npz --model model.safetensors --output object.npz
      ptychopinn reconstruct scan.npz --output object.h5 --update-probe --refine-iterations 60
    """

    scan: CliPositionalArg[Path] = Field(description='.npz file, or folder of Ptychodus files')
    output: Path = Field(description='The result, a new .h5 or .npz file')
    model: Path | None = Field(None, description='Trained model, a .safetensors file')
    picture: Path | None = Field(None, description='Draw the result into this .png, .pdf or .svg')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.reconstruct import run

        run(self)


class Fixture(ScanFlags):
    """Cut a small scan out of a large one, for tests.

    The frames lie evenly over the whole scan. The same source gives the same bytes.

    Example:
      ptychopinn fixture --source scan.npz --output small.npz --metadata-out small.json
    """

    source: Path = Field(description='The large scan, an .npz file')
    output: Path = Field(description='The small scan, a new .npz file')
    subset_size: int = Field(64, ge=2, description='Frames of the small scan')
    metadata_out: Path | None = Field(
        None, description='Write what was done, with checksums, into this .json file'
    )

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.fixture import run

        run(self)


class Show(Command):
    """Draw a result: object, probe, coverage, residual curve.

    Example:
      ptychopinn show object.h5 --picture object.png
    """

    result: CliPositionalArg[Path] = Field(description='.h5 or .npz file of a reconstruction')
    picture: Path = Field(description='The picture, a new .png, .pdf or .svg file')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.show import run

        run(self)


class Inspect(Command):
    """Print what a model file says of itself, after checking all of it.

    Example:
      ptychopinn inspect model.safetensors
    """

    model_file: CliPositionalArg[Path] = Field(alias='model', description='.safetensors file')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.inspect import run

        run(self)


class Demo(Command, EngineFlags):
    """Simulate, check, train, reconstruct, draw and score, in about a minute.

    Example:
      ptychopinn demo --output demo-output
    """

    output: Path = Field(Path('demo-output'), description='Folder for the files')

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.demo import run

        run(self)


class Doctor(Command):
    """Say whether Ptychodus will offer the plugin, and if not, why.

    Example:
      ptychopinn doctor
    """

    def run(self) -> None:  # noqa: D102
        from ptychopinn_plugin.cli.commands.doctor import run

        run()


class Ptychodus(BaseModel):
    """Start Ptychodus with the plugin; what is typed after it goes to Ptychodus.

    Needed only where Ptychodus does not see the plugin by itself, see `ptychopinn doctor`.

    Example:
      ptychopinn ptychodus
    """


class Ptychopinn(BaseSettings):
    """Physics-informed neural ptychography.

    first steps:
      ptychopinn demo                                      see it work on a simulated scan
      ptychopinn check scan.npz                            is the scan what it should be?
      ptychopinn reconstruct scan.npz --output object.h5 --picture object.png

    `ptychopinn COMMAND --help` tells more.
    """

    model_config = SettingsConfigDict(
        cli_prog_name='ptychopinn',
        cli_kebab_case=True,
        cli_implicit_flags='toggle',
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_enforce_required=True,
        cli_exit_on_error=False,
        cli_parse_none_str='null',
        extra='forbid',
    )

    version: bool = Field(False, description='Print the version')
    backends: CliSubCommand[Backends] = Field(description='what is installed, versions, devices')
    simulate: CliSubCommand[Simulate] = Field(description='make a scan with a known object')
    check: CliSubCommand[Check] = Field(description='look at a scan before reconstructing it')
    train: CliSubCommand[Train] = Field(description='train a network on scans')
    reconstruct: CliSubCommand[Reconstruct] = Field(description='reconstruct a scan')
    fixture: CliSubCommand[Fixture] = Field(description='cut a small scan out of a large one')
    show: CliSubCommand[Show] = Field(description='draw a result')
    inspect: CliSubCommand[Inspect] = Field(description='print what a model file says of itself')
    demo: CliSubCommand[Demo] = Field(description='see all of it work on a simulated scan')
    doctor: CliSubCommand[Doctor] = Field(description='will Ptychodus offer the plugin?')
    ptychodus: CliSubCommand[Ptychodus] = Field(description='start Ptychodus with the plugin')

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is typed, and nothing from the environment or from files."""
        return (init_settings,)

    def cli_cmd(self) -> None:
        """Run the command that was named."""
        if self.version:
            from ptychopinn_plugin import __version__

            print(f'ptychopinn {__version__}')
            return
        if get_subcommand(self, is_required=False) is None:
            from ptychopinn_plugin.cli.errors import UsageError

            raise UsageError('name a command, such as reconstruct; see ptychopinn --help')
        CliApp.run_subcommand(self)


def command_class(name: str) -> type[Any]:
    """Return the class of a command, or `object` for another name."""
    field = Ptychopinn.model_fields.get(name)
    found = getattr(field.annotation, '__args__', (object,))[0] if field else object
    return found if isinstance(found, type) else object
