"""Commands that make scans and show what files hold."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from ptychopinn_plugin.cli.options.common import SCAN, Command, ScanFlags
from ptychopinn_plugin.config.simulation import SimulationConfig


class Simulate(Command, SimulationConfig):
    """Simulate a scan with a known object.

    The object is stored with the scan as `objectGuess` of an .npz file; an .h5 file is for the
    window of Ptychodus and does not contain the object.

    Examples:
      ptychopinn simulate star.npz --object-kind siemens --rows 20 --columns 20 --seed 1
      ptychopinn simulate star.h5 --object-kind siemens
    """

    out: CliPositionalArg[Path] = Field(description='The scan, a new .npz or .h5 file')


class Convert(ScanFlags):
    """Convert a scan of any kind that is read, no framework needed.

    OUT decides: an .npz file holds the counts, as integers where they are whole; any other name is
    that of a folder for diffraction.h5 and product.h5 of Ptychodus.

    Examples:
      ptychopinn convert scan.cxi scan.npz
      ptychopinn convert master.h5 scan-folder --positions positions.txt:APS_Velociprobe_PE
      ptychopinn convert scan-folder scan.npz
    """

    scan: CliPositionalArg[Path] = Field(description=SCAN)
    out: CliPositionalArg[Path] = Field(description='A new .npz file, or a folder')


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


class Show(Command):
    """Draw a result: object, probe, coverage, residual curve.

    Example:
      ptychopinn show object.h5 --picture object.png
    """

    result: CliPositionalArg[Path] = Field(description='.h5 or .npz file of a reconstruction')
    picture: Path = Field(description='The picture, a new .png, .pdf or .svg file')


class Report(Command):
    """Write a report of a result as one HTML file that opens without a network.

    Example:
      ptychopinn report object.h5 --output report.html
    """

    result: CliPositionalArg[Path] = Field(description='.h5 or .npz file of a reconstruction')
    output: Path = Field(description='The report, a new .html file')


class Inspect(Command):
    """Print the description in a model file, after checking all of it.

    Example:
      ptychopinn inspect model.safetensors
    """

    model_file: CliPositionalArg[Path] = Field(alias='model', description='.safetensors file')
