"""Commands that look at a scan, train and reconstruct."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from ptychopinn_plugin.cli.file_names import FileName
from ptychopinn_plugin.cli.options.common import Command, ConfigFileFlags, EngineFlags, ScanFlags
from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.config.model_names import PACKAGED


class Check(ScanFlags):
    """Check a scan before it is reconstructed.

    Says what the file holds and how it was read, and looks at photons, overlap, orientation,
    the place of the zero frequency, bad pixels, and the probe. Says what --auto of reconstruct
    would estimate, and why.

    Examples:
      ptychopinn check scan.npz
      ptychopinn check folder-with-diffraction.h5-and-product.h5 --json
      ptychopinn check scan.npz --write-mask mask.npz
    """

    scan: CliPositionalArg[Path] = Field(description='.npz file, or folder of Ptychodus files')
    trials: bool = Field(True, description='Find the orientation by short reconstructions')
    write_mask: Path | None = Field(
        None,
        description='Write the mask with the bad pixels that were found into this new .npz or .npy '
        'file, to be read with --mask',
    )
    as_json: bool = Field(False, alias='json', description='Print JSON, for other programs')


class Train(ScanFlags, ConfigFileFlags, ModelConfig, TrainingConfig):
    """Train a network on scans; no object needs to be known.

    Ctrl-C stops the training and saves the best model so far. Logs and checkpoints go to a folder
    beside the model, for model.safetensors to model-training.

    Examples:
      ptychopinn train scan.npz --model model.safetensors --epochs 10
      ptychopinn train a.npz b.npz c.npz --model model.safetensors --backend pytorch
      ptychopinn train scan.npz --model model.safetensors --config settings.toml
      ptychopinn train scan.npz --model model.safetensors --resume
    """

    scan: CliPositionalArg[list[FileName]] = Field(
        description='.npz files, or folders of Ptychodus files', min_length=1
    )
    model: Path = Field(description='The model, a new .safetensors file')
    resume: bool = Field(
        False, description='Go on with the training that was interrupted beside the same --model'
    )


class Reconstruct(ScanFlags, ConfigFileFlags, InferenceConfig):
    """Reconstruct a scan by physics, and by a network as far as held-out photons support it.

    OUTPUT decides the kind of file: .h5 is a Ptychodus product, .npz holds plain arrays.

    Examples:
      ptychopinn reconstruct scan.npz --output object.h5 --picture object.png
      ptychopinn reconstruct scan.npz --model model.safetensors --output object.npz
      ptychopinn reconstruct scan.npz --model none --output object.npz
      ptychopinn reconstruct scan.npz --output object.h5 --update-probe --refine-iterations 60
      ptychopinn reconstruct scan.npz --output more.npz --continue-from object.npz
    """

    scan: CliPositionalArg[Path] = Field(description='.npz file, or folder of Ptychodus files')
    output: Path = Field(description='The result, a new .h5 or .npz file')
    model: Path = Field(
        Path(PACKAGED),
        description='Trained model, a .safetensors file; packaged for the one of the package, none '
        'for physics alone',
    )
    continue_from: Path | None = Field(
        None, description='Start from the object, probe and positions of a result, .h5 or .npz'
    )
    picture: Path | None = Field(None, description='Draw the result into this .png, .pdf or .svg')


class Demo(Command, EngineFlags):
    """Simulate, check, train, reconstruct, draw and score, in about a minute.

    Example:
      ptychopinn demo --output demo-output
    """

    output: Path = Field(Path('demo-output'), description='Folder for the files')
