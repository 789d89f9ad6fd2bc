"""`ptychopinn inspect`."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Inspect
from ptychopinn_plugin.config import Config
from ptychopinn_plugin.errors import printable_line
from ptychopinn_plugin.io.model_file import TrainedModel, load_model
from ptychopinn_plugin.io.model_file.manifest import writer_name

# Characters of a value that came from a file.
LONGEST_VALUE = 1200


def run(flags: Inspect) -> None:
    """Print the description in a model file."""
    for line in model_lines(load_model(flags.model_file)):
        echo(line)


def model_lines(model: TrainedModel) -> list[str]:
    """Return a model's description as lines for people."""
    manifest = model.manifest
    pixel = manifest.pixel_size_m
    rows = [
        ('trained by', f'{writer_name(manifest.package_version)}, {manifest.backend}'),
        ('format', str(manifest.format_version)),
        ('frames', f'{manifest.frame_size} x {manifest.frame_size} pixels'),
        ('object pixel', f'{pixel[1] * 1e9:.4g} nm' if pixel else 'not known'),
        ('photons a frame', ', '.join(f'{p:.4g}' for p in manifest.photons_per_frame) or '?'),
        ('weights', f'{sum(w.size for w in model.weights.values()):,} in {len(model.weights)}'),
        ('probe', f'{model.probe.shape[0]} modes' if len(model.probe) > 1 else '1 mode'),
        ('network', _config(manifest.model)),
        ('training', _config(manifest.training)),
        ('losses', _losses(model)),
        ('scale', manifest.scale_contract),
        ('weights sha256', manifest.weights_fingerprint),
        ('probe sha256', manifest.probe_fingerprint),
        ('data sha256', manifest.data_fingerprint or 'not taken'),
    ]
    return [f'{name + ":":<17}{printable_line(value, LONGEST_VALUE)}' for name, value in rows]


def _config(config: Config) -> str:
    return ', '.join(f'{name}={value}' for name, value in config.model_dump().items())


def _losses(model: TrainedModel) -> str:
    if not len(model.losses):
        return 'none'
    text = f'{len(model.losses)} epochs, training {model.losses[-1, 0]:.4g}'
    validation = model.losses[:, 1][np.isfinite(model.losses[:, 1])]
    return f'{text}, best validation {validation.min():.4g}' if validation.size else text
