"""How a scan is reconstructed."""

from typing import Literal

from ptychopinn_plugin.config.base import setting
from ptychopinn_plugin.config.grouping import GroupingConfig


class InferenceConfig(GroupingConfig):
    """The reconstruction: learned stages if there is a model, then physics passes."""

    refine_iterations: int = setting(
        24,
        'Physics passes over all frames; with a model they follow its first stages',
        ge=0,
        le=100_000,
    )
    cnn_refine_iterations: int = setting(
        0, "cnn: physics passes that start from the network's object", ge=0, le=100_000
    )
    update_probe: bool = setting(False, 'Refine the probe together with the object')
    stages: int = setting(
        1, 'unrolled: learned stages at the start; one more ends the reconstruction', ge=0, le=100
    )
    stage_passes: int = setting(
        2, 'unrolled: physics passes before each learned stage', ge=1, le=100, advanced=True
    )
    closing_stage: bool = setting(
        True, 'unrolled: let a learned stage, not physics alone, have the last word', advanced=True
    )
    noise_model: Literal['auto', 'poisson', 'amplitude'] = setting(
        'auto',
        'Noise of the counts: poisson, amplitude (Gaussian noise of their square root), or auto '
        '(poisson; amplitude with a model, which was trained beside it)',
    )
    object_prior: bool = setting(
        True,
        "Damp spatial frequencies of the object that the photons do not determine, by the object's "
        'own power spectrum; without a model only',
    )
    probe_modes: int = setting(
        0,
        'Incoherent probe modes: more than the probe has are made; 0 for those of the probe',
        ge=0,
        le=6,
    )
    update_flux: bool = setting(False, 'Estimate the photons of the beam frame by frame')
    update_background: bool = setting(False, 'Estimate a static background of the detector')
    opr_modes: int = setting(
        0, 'Modes of a slow variation of the probe along the scan, 0 for none', ge=0, le=4
    )
    subsets: int = setting(
        8, 'Groups of frames that a pass visits one after the other', ge=1, le=64, advanced=True
    )
    momentum: float = setting(
        0.9, 'Nesterov momentum of object and probe', ge=0, lt=1, advanced=True
    )
    object_step: float = setting(0.5, 'Step of the object update', gt=0, le=2, advanced=True)
    probe_step: float = setting(1.0, 'Step of the probe update', gt=0, le=2, advanced=True)
