"""What the network is."""

from typing import Literal

from ptychopinn_plugin.config.base import Config, setting


class ModelConfig(Config):
    """The network's shape; stored in the model file."""

    architecture: Literal['unrolled'] = setting(
        'unrolled', 'Network: unrolled (a learned solver on the object canvas)'
    )
    stages: int = setting(3, 'Learned stages of a reconstruction', ge=1, le=32)
    width: int = setting(
        24, 'Channels of the network at its finest level', ge=4, le=256, advanced=True
    )
    levels: int = setting(
        3, 'Resolution levels of the network, each half as fine', ge=1, le=6, advanced=True
    )
    hidden_channels: int = setting(
        8, 'Channels that a stage hands to the next', ge=0, le=64, advanced=True
    )
