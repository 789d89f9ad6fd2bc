"""Commands that look at a scan, train and reconstruct."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from ptychopinn_plugin.cli.file_names import FileName
from ptychopinn_plugin.cli.options.common import (
    SCAN,
    Command,
    ConfigFileFlags,
    EngineFlags,
    ScanFlags,
)
from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.config.constants import CHECKPOINT_SECONDS
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

    scan: CliPositionalArg[Path] = Field(description=SCAN)
    trials: bool = Field(
        True, description='Find orientation and focus of the probe by short reconstructions'
    )
    write_mask: Path | None = Field(
        None,
        description='Write the mask with the bad pixels that were found into this new .npz or .npy '
        'file, to be read with --mask',
    )
    as_json: bool = Field(False, alias='json', description='Print JSON, for other programs')


class Train(ScanFlags, ConfigFileFlags, ModelConfig, TrainingConfig):
    """Train a network on scans; no object needs to be known.

    The network of the package is trained further, in about two minutes; --epochs adds to it. The
    training stops where held-out frames gain nothing more. Ctrl-C stops it too, and saves the best
    model so far. Logs and checkpoints go to a folder beside the model, for model.safetensors to
    model-training, and a picture of losses, gate and a held-out crop to model-training.png.

    Examples:
      ptychopinn train scan.npz --model model.safetensors --epochs 10
      ptychopinn train a.npz b.npz c.npz --model model.safetensors --backend pytorch
      ptychopinn train scan.npz --model model.safetensors --config settings.toml
      ptychopinn train scan.npz --model model.safetensors --resume
      ptychopinn train new.npz --model new.safetensors --initial-model model.safetensors
    """

    scan: CliPositionalArg[list[FileName]] = Field(
        description='.npz files, folders of Ptychodus files, or files of instruments', min_length=1
    )
    model: Path = Field(description='The model, a new .safetensors file')
    initial_model: Path | None = Field(
        None,
        description='Go on from a trained model, a .safetensors file, whose network this one has',
    )
    resume: bool = Field(
        False, description='Go on with the training that was interrupted beside the same --model'
    )


class ReconstructionFlags(ScanFlags, ConfigFileFlags, InferenceConfig):
    """Flags of commands that reconstruct."""

    checkpoint_seconds: float = Field(
        CHECKPOINT_SECONDS,
        ge=0,
        description='Least seconds between two checkpoints of a reconstruction; 0 for one after '
        'each iteration',
    )

    model: Path = Field(
        Path(PACKAGED),
        description='Trained model, a .safetensors file; packaged for the one of the package, none '
        'for physics alone',
    )


class Reconstruct(ReconstructionFlags):
    """Reconstruct a scan by physics, and by a network as far as held-out photons support it.

    OUTPUT decides the kind of file: .h5 is a Ptychodus product, .npz holds plain arrays.

    Examples:
      ptychopinn reconstruct scan.npz --output object.h5 --picture object.png
      ptychopinn reconstruct scan.npz --model model.safetensors --output object.npz
      ptychopinn reconstruct scan.npz --model none --output object.npz
      ptychopinn reconstruct scan.npz --output object.h5 --update-probe --refine-iterations 60
      ptychopinn reconstruct scan.npz --output more.npz --continue-from object.npz
      ptychopinn reconstruct scan.npz --output object.h5 --checkpoint state
      ptychopinn reconstruct scan.npz --output object.h5 --checkpoint state --resume
      ptychopinn reconstruct scan.npz --output object.h5 --json
    """

    scan: CliPositionalArg[Path] = Field(description=SCAN)
    output: Path = Field(description='The result, a new .h5 or .npz file')
    continue_from: Path | None = Field(
        None, description='Start from the object, probe and positions of a result, .h5 or .npz'
    )
    picture: Path | None = Field(None, description='Draw the result into this .png, .pdf or .svg')
    checkpoint: Path | None = Field(
        None, description='Folder for the state of the reconstruction, from which --resume goes on'
    )
    resume: bool = Field(
        False, description='Go on with the reconstruction that was interrupted, from --checkpoint'
    )
    as_json: bool = Field(
        False,
        alias='json',
        description='Print resolution, errors, coverage and what was found as JSON, for other '
        'programs',
    )


class Batch(ReconstructionFlags):
    """Reconstruct many scans with the same settings, one after the other or in several processes.

    For each scan the folder gets a result, a picture (.png), a record (.json) and a log (.log), and
    for all of them a table, table.csv. Scans that are done, made from the same files and settings,
    are left out; run the same command again to go on after Ctrl-C or to retry what failed. A scan
    that was interrupted goes on from its checkpoint, if it had one.

    Examples:
      ptychopinn batch scans-folder --output results
      ptychopinn batch scans.txt --output results --model model.safetensors --jobs 4
      ptychopinn batch a.npz b.npz --output results --auto --file-type npz
      ptychopinn batch scans.txt --output results --part 3/20
      ptychopinn batch scans.txt --output results --parsl site.py
    """

    scan: CliPositionalArg[list[FileName]] = Field(
        description='Scans, folders of scans, or .txt lists with a path a line', min_length=1
    )
    output: Path = Field(description='Folder for results, pictures and the table')
    file_type: Literal['h5', 'npz'] = Field(
        'h5', description='Results as Ptychodus products (h5) or plain arrays (npz)'
    )
    jobs: int = Field(
        1, ge=1, le=1024, description='Processes that reconstruct; they share the CPU threads'
    )
    parsl: Path | None = Field(
        None,
        description='Reconstruct on the nodes of a cluster: a Python file whose config is the '
        "configuration of Parsl, as in the page 'Many scans'",
    )
    part: str | None = Field(
        None,
        pattern='^[1-9][0-9]*/[1-9][0-9]*$',
        description='Only each N-th scan of the list, from the K-th on, as K/N; for array jobs of '
        'a cluster',
    )


class Demo(Command, EngineFlags):
    """Simulate, check, train, reconstruct, draw and score, in about a minute.

    Example:
      ptychopinn demo --output demo-output
    """

    output: Path = Field(Path('demo-output'), description='Folder for the files')
