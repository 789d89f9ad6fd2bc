"""Settings of the network."""

from typing import Literal

from ptychopinn_plugin.config.architectures import Architecture, describe_architectures
from ptychopinn_plugin.config.base import Config, setting


class ModelConfig(Config):
    """Architecture of the network and its forward model; stored in the model file."""

    architecture: Architecture = setting('unrolled', describe_architectures(), label='Architecture')
    width: int = setting(
        32,
        'Channels of the network at its finest level',
        architecture='unrolled',
        ge=4,
        le=256,
        advanced=True,
        label='Channels at the finest level',
    )
    levels: int = setting(
        3,
        'Resolution levels, each half as fine',
        architecture='unrolled',
        ge=1,
        le=6,
        advanced=True,
        label='Resolution levels',
    )
    blocks: int = setting(
        2,
        'Residual blocks before and after the coarser levels',
        architecture='unrolled',
        ge=1,
        le=16,
        advanced=True,
        label='Residual blocks per level',
    )
    frame_size: int = setting(
        0,
        'Side of a frame, 0 for that of the data; other data are refused',
        unit='pixel',
        ge=0,
        le=4096,
        advanced=True,
        label='Frame size',
        zero='that of the data',
    )
    model_type: Literal['pinn', 'supervised'] = setting(
        'pinn',
        'Trained on the frames alone (pinn) or on known objects (supervised)',
        architecture='cnn',
        label='Model type',
    )
    gridsize: int = setting(
        2,
        'Side of a group of frames, gridsize² frames; with network_input amplitudes',
        architecture='cnn',
        ge=1,
        le=4,
        label='Frames per group side',
    )
    network_input: Literal['amplitudes', 'back_projection'] = setting(
        'amplitudes',
        "The network's input: the amplitudes of a group of frames, as published, or the object "
        'under each frame after one step of all frames from an empty one, which a smaller network '
        'with skip connections corrects frame by frame',
        architecture='cnn',
        label='Input of the network',
    )
    n_filters_scale: float = setting(
        1.0,
        'Factor of all channel numbers, of which at least 8 are left',
        architecture='cnn',
        ge=0.25,
        le=8,
        label='Factor of the channels',
    )
    output_form: Literal['amplitude_phase', 'real_imag'] = setting(
        'amplitude_phase',
        "The decoders' output: amplitude and phase, as published, or real and imaginary part, "
        'without a greatest amplitude and a jump of the phase, both in units of probe_scale; with '
        'network_input amplitudes',
        architecture='cnn',
        label='Output of the decoders',
    )
    amp_activation: Literal['sigmoid', 'swish', 'softplus', 'relu'] = setting(
        'sigmoid',
        "Last function of the object's amplitude, with output_form amplitude_phase",
        architecture='cnn',
        advanced=True,
        label='Amplitude activation',
    )
    object_big: bool = setting(
        True,
        'Patches are merged where they overlap and cut again; off, a group draws one alone',
        architecture='cnn',
        advanced=True,
        label='Merge overlapping patches',
    )
    pad_object: bool = setting(
        True,
        'The decoders fill the central half of a patch only',
        architecture='cnn',
        advanced=True,
        label='Pad the object patch',
    )
    probe_big: bool = setting(
        True,
        'With pad_object, a few coarse channels fill the border',
        architecture='cnn',
        advanced=True,
        label='Fill the border of the patch',
    )
    probe_mask: bool = setting(
        False,
        'The probe is cut off outside a disc of a quarter of the frame',
        architecture='cnn',
        advanced=True,
        label='Mask the probe',
    )
    probe_scale: float = setting(
        2.0,
        "Unit of the object's amplitude",
        architecture='cnn',
        gt=0,
        le=1000,
        advanced=True,
        label='Unit of the amplitude',
    )
    gaussian_smoothing_sigma: float = setting(
        0.0,
        'Blur of the exit wave',
        architecture='cnn',
        unit='pixel',
        ge=0,
        le=64,
        advanced=True,
        label='Blur of the exit wave',
    )
    probe_trainable: bool = setting(
        False,
        'Update the probe in training',
        architecture='cnn',
        advanced=True,
        label='Update probe in training',
    )
    intensity_scale_trainable: bool = setting(
        True,
        'Learn the factor between the expected and the measured counts',
        architecture='cnn',
        advanced=True,
        label='Learn the intensity scale',
    )
