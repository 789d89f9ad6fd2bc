"""What the network is."""

from typing import Literal

from ptychopinn_plugin.config.base import Config, setting


class ModelConfig(Config):
    """The network's shape; stored in the model file."""

    architecture: Literal['unrolled'] = setting(
        'unrolled', 'Network: unrolled (a learned solver on the object canvas)'
    )
    width: int = setting(
        32, 'Channels of the network at its finest level', ge=4, le=256, advanced=True
    )
    levels: int = setting(
        3, 'Resolution levels of the network, each half as fine', ge=1, le=6, advanced=True
    )
    blocks: int = setting(
        2, 'Residual blocks before and after the coarser levels', ge=1, le=16, advanced=True
    )
