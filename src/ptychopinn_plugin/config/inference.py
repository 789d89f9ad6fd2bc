"""Settings of a reconstruction."""

from typing import Literal

from ptychopinn_plugin.config.base import Switch, setting
from ptychopinn_plugin.config.grouping import GroupingConfig
from ptychopinn_plugin.config.limits import ConstraintConfig


class InferenceConfig(ConstraintConfig, GroupingConfig):
    """The reconstruction: physics passes, then a network where it helps."""

    refine_iterations: int = setting(
        24,
        'Physics passes over all frames',
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
    grouping: Literal['nearest', 'disjoint'] = setting(
        'nearest',
        'Groups of frames: nearest, one around each frame, of its nearest ones, or disjoint, each '
        'frame in one group, for a gridsize²-th of the work and fewer patches to average; n_groups '
        'and neighbor_count ask for nearest',
        architecture='cnn',
        label='Groups of frames',
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
        'Update the probe together with the object: on, off, or auto (on, but off where the probe '
        'comes from an earlier reconstruction and held-out frames gain nothing, or where the '
        'object starts from reflections and held-out photons are explained better with the probe '
        'as it was given)',
        label='Update probe',
    )
    estimate_errors: bool = setting(
        True,
        'Estimate resolution and errors from two more reconstructions, of half the photons each',
        label='Estimate errors',
    )
    initial: Literal['empty', 'product'] = setting(
        'empty',
        "Object at the start: empty, or the scan's own, of a product or another result",
        label='Initial object',
    )
    closing_stage: bool = setting(
        True,
        'Apply the network after the last physics pass, as far as held-out photons of the scan '
        'support its update',
        architecture='unrolled',
        label='Network after the passes',
    )
    early_network: bool = setting(
        False,
        'For scans whose frames overlap little: a network of the package changes the object after '
        'the second pass, and the other passes start from there',
        label='Network after the second pass',
    )
    reflections: int = setting(
        140,
        'For scans whose frames overlap little: relaxed averaged alternating reflections of all '
        'exit waves before the passes, kept where the frames fit better from there; 0 for none',
        ge=0,
        le=10_000,
        label='Reflections before the passes',
        zero='none',
    )
    noise_model: Literal['auto', 'poisson', 'amplitude'] = setting(
        'auto',
        'Noise of the counts: poisson, amplitude (Gaussian noise of their square root), or auto '
        '(poisson)',
        label='Noise model',
    )
    object_prior: bool = setting(
        True,
        "Damp spatial frequencies of the object that the photons do not determine, by the object's "
        'own power spectrum',
        label='Object prior',
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
