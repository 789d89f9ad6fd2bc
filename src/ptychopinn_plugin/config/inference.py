"""Settings of a reconstruction."""

from typing import Literal

from ptychopinn_plugin.config.base import Switch, setting
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.config.limits import ConstraintConfig


class InferenceConfig(ConstraintConfig, GroupingConfig):
    """The reconstruction: learned stages if there is a model, then physics passes."""

    refine_iterations: int = setting(
        24,
        'Physics passes over all frames; with a model they follow its first stages',
        ge=0,
        le=100_000,
        label='Physics iterations',
        unused_by='cnn',
        instead='cnn_refine_iterations',
    )
    stop_early: bool = setting(
        False,
        'End before the last of these passes once passes gain no more than noise explains',
        label='Stop early',
    )
    cnn_refine_iterations: int = setting(
        0,
        "Physics passes that start from the network's object",
        architecture='cnn',
        ge=0,
        le=100_000,
        label='Physics iterations after the network',
    )
    auto: bool = setting(
        False,
        'Choose from the data what is estimated beside the object: probe, its modes and drift, '
        'positions, flux and background; stop early; settings that differ from their defaults are '
        'kept',
        label='Automatic settings',
    )
    update_probe: Switch = setting(
        'auto',
        'Update the probe together with the object: on, off, or auto (on; off with a model, and '
        'where the probe comes from an earlier reconstruction and held-out frames gain nothing)',
        label='Update probe',
    )
    estimate_errors: bool = setting(
        True,
        'Reconstruct two halves of the photons as well, which tells resolution and errors',
        label='Estimate errors',
    )
    initial: Literal['empty', 'product'] = setting(
        'empty',
        "Object at the start: empty, or the scan's own, of a product or another result",
        label='Initial object',
    )
    stages: int = setting(
        1,
        'Learned stages at the start; one more ends the reconstruction',
        architecture='unrolled',
        ge=0,
        le=100,
        label='Learned stages',
    )
    stage_passes: int = setting(
        2,
        'Physics passes before each learned stage',
        architecture='unrolled',
        ge=1,
        le=100,
        advanced=True,
        label='Iterations before each stage',
    )
    closing_stage: bool = setting(
        True,
        'Apply a learned stage after the last physics pass',
        architecture='unrolled',
        advanced=True,
        label='Closing stage',
    )
    noise_model: Literal['auto', 'poisson', 'amplitude'] = setting(
        'auto',
        'Noise of the counts: poisson, amplitude (Gaussian noise of their square root), or auto '
        '(poisson; amplitude with a model, which was trained beside it)',
        label='Noise model',
    )
    object_prior: bool = setting(
        True,
        "Damp spatial frequencies of the object that the photons do not determine, by the object's "
        'own power spectrum; without a model only',
        label='Object prior',
        without_model=True,
    )
    probe_modes: int = setting(
        0,
        'Incoherent probe modes: more than the probe has are made; 0 for those of the probe',
        ge=0,
        le=6,
        label='Probe modes',
        zero='as given',
    )
    update_flux: bool = setting(
        False, 'Estimate the photons of the beam frame by frame', label='Update flux of each frame'
    )
    update_background: bool = setting(
        False, 'Estimate a static background of the detector', label='Update background'
    )
    opr_modes: int = setting(
        0,
        'Modes of a slow variation of the probe along the scan, 0 for none',
        ge=0,
        le=4,
        label='Probe variation modes (OPR)',
        zero='none',
    )
    update_positions: Literal['off', 'auto', 'on'] = setting(
        'off',
        'Refine the scan positions, one by one and by a common scale, rotation and shear: on, or '
        'auto (only where the frames show that positions are wrong)',
        label='Update positions',
    )
    position_constraint: Literal['none', 'affine', 'no_affine'] = setting(
        'none',
        'How refined positions may move: none, in any way; affine, all of them by one scale, '
        'rotation, aspect and shear; no_affine, each for itself, without any of these in common',
        advanced=True,
        label='Constraint of the positions',
    )
    subsets: int = setting(
        8,
        'Groups of frames that a pass visits one after the other',
        ge=1,
        le=64,
        advanced=True,
        label='Subsets of frames',
    )
    momentum: float = setting(
        0.9, 'Nesterov momentum of object and probe', ge=0, lt=1, advanced=True, label='Momentum'
    )
    object_step: float = setting(
        0.5, 'Step of the object update', gt=0, le=2, advanced=True, label='Object step size'
    )
    probe_step: float = setting(
        1.0, 'Step of the probe update', gt=0, le=2, advanced=True, label='Probe step size'
    )
