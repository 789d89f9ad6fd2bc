"""What the network is."""

from typing import Literal

from ptychopinn_plugin.config.base import Config, setting


class ModelConfig(Config):
    """The network's shape and its physics; stored in the model file."""

    architecture: Literal['unrolled', 'cnn'] = setting(
        'unrolled',
        'Network: unrolled (a learned solver on the object) or cnn (PtychoPINN as published)',
    )
    width: int = setting(
        32, 'unrolled: channels of the network at its finest level', ge=4, le=256, advanced=True
    )
    levels: int = setting(
        3, 'unrolled: resolution levels, each half as fine', ge=1, le=6, advanced=True
    )
    blocks: int = setting(
        2,
        'unrolled: residual blocks before and after the coarser levels',
        ge=1,
        le=16,
        advanced=True,
    )
    frame_size: int = setting(
        0,
        'Side of a frame, 0 for that of the data; other data are refused',
        unit='pixel',
        ge=0,
        le=4096,
        advanced=True,
    )
    model_type: Literal['pinn', 'supervised'] = setting(
        'pinn', 'cnn: trained on the frames alone (pinn) or on known objects (supervised)'
    )
    gridsize: int = setting(2, 'cnn: side of a group of frames, gridsize² frames', ge=1, le=4)
    n_filters_scale: int = setting(1, 'cnn: factor of all channel numbers', ge=1, le=8)
    amp_activation: Literal['sigmoid', 'swish', 'softplus', 'relu'] = setting(
        'sigmoid', "cnn: last function of the object's amplitude", advanced=True
    )
    object_big: bool = setting(
        True,
        'cnn: patches are merged where they overlap and cut again; off, a group draws one alone',
        advanced=True,
    )
    pad_object: bool = setting(
        True, 'cnn: the decoders fill the central half of a patch only', advanced=True
    )
    probe_big: bool = setting(
        True, 'cnn: with pad_object, a few coarse channels fill the border', advanced=True
    )
    probe_mask: bool = setting(
        False, 'cnn: the probe is cut off outside a disc of a quarter of the frame', advanced=True
    )
    probe_scale: float = setting(
        2.0, "cnn: unit of the object's amplitude", gt=0, le=1000, advanced=True
    )
    gaussian_smoothing_sigma: float = setting(
        0.0, 'cnn: blur of the exit wave', unit='pixel', ge=0, le=64, advanced=True
    )
    probe_trainable: bool = setting(False, 'cnn: refine the probe in training', advanced=True)
    intensity_scale_trainable: bool = setting(
        True, 'cnn: learn the factor between the expected and the measured counts', advanced=True
    )
