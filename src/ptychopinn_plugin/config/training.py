"""Settings of a training."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from ptychopinn_plugin.config.base import setting
from ptychopinn_plugin.config.grouping import GroupingConfig


def _auto_is_off(value: object) -> object:
    """Return False for the `auto` of a file that serves reconstructions too."""
    return False if value == 'auto' else value


class TrainingConfig(GroupingConfig):
    """Epochs, batches, losses and validation of a training."""

    epochs: int = setting(
        8, 'Training epochs', defaults={'cnn': 60}, ge=1, le=100_000, label='Epochs'
    )
    steps_per_epoch: int = setting(
        40,
        'Episodes an epoch, each a short reconstruction of a crop; a tenth is new each time',
        architecture='unrolled',
        ge=1,
        le=100_000,
        label='Episodes per epoch',
    )
    pretrained: bool = setting(
        True,
        'Start from the network of the package where width, levels and blocks are its own, else '
        'and without it from random weights, which need more epochs',
        architecture='unrolled',
        label='Start from the trained network',
    )
    update_probe: Annotated[bool, BeforeValidator(_auto_is_off)] = setting(
        False,
        "Update each scan's probe before training, as for a scan whose probe is a guess",
        label='Update probe before training',
    )
    batch_size: int = setting(
        16,
        'Groups a step of the optimiser',
        architecture='cnn',
        ge=1,
        le=100_000,
        label='Batch size',
    )
    training_target: Literal['frames', 'reconstruction'] = setting(
        'frames',
        'What the network learns: patches that predict the frames, as published, or those of the '
        'object that physics passes reconstruct from the same frames before, which takes fewer '
        'epochs',
        architecture='cnn',
        label='Target of the training',
    )
    overlap: Literal['batch', 'group'] = setting(
        'batch',
        'Patches that are merged where they overlap, with object_big: those of neighbouring '
        'groups in a batch, or those of each group alone, as published',
        architecture='cnn',
        advanced=True,
        label='Merge patches within a',
    )
    nphotons: float = setting(
        0.0,
        'Photons a frame that the Poisson loss counts with, 0 for those of the data',
        architecture='cnn',
        unit='photons',
        ge=0,
        le=1e15,
        advanced=True,
        label='Photons per frame',
        zero='those of the data',
    )
    nll_weight: float = setting(
        1.0,
        'Weight of the Poisson loss',
        architecture='cnn',
        ge=0,
        le=1e6,
        advanced=True,
        label='Poisson weight',
    )
    mae_weight: float = setting(
        0.0,
        'Weight of the mean absolute error of amplitudes',
        architecture='cnn',
        ge=0,
        le=1e6,
        advanced=True,
        label='Amplitude weight',
    )
    realspace_weight: float = setting(
        0.0,
        "Weight of the object's total variation",
        architecture='cnn',
        ge=0,
        le=1e6,
        advanced=True,
        label='Total-variation weight',
    )
    realspace_mae_weight: float = setting(
        0.0,
        'Weight of the mean absolute error of patches against a given object',
        architecture='cnn',
        ge=0,
        le=1e6,
        advanced=True,
        label='Known object weight',
    )
    crop_frames: int = setting(
        256,
        'Neighbouring frames in a training crop',
        architecture='unrolled',
        ge=8,
        le=100_000,
        advanced=True,
        label='Frames per crop',
    )
    sparse_share: float = setting(
        0.15,
        'Share of episodes that drop most frames, to learn sparse scans',
        architecture='unrolled',
        ge=0,
        le=1,
        advanced=True,
        label='Share of sparse episodes',
    )
    reference_passes: int = setting(
        20,
        "Physics passes for each scan's reference; of cnn with training_target reconstruction",
        ge=1,
        le=10_000,
        advanced=True,
        label='Iterations of the reference',
    )
    validation_fraction: float = setting(
        0.15,
        'Share of the frames, a strip of the scan, kept for validation',
        gt=0,
        le=0.5,
        advanced=True,
        label='Share of frames for validation',
    )
    validation_episodes: int = setting(
        12,
        'Held-out episodes for the validation after every epoch',
        architecture='unrolled',
        ge=1,
        le=10_000,
        advanced=True,
        label='Validation episodes',
    )
    seed: int = setting(0, 'Seed of every random choice', ge=0, le=2**31 - 1, label='Random seed')
