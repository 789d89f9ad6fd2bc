"""How a scan is reconstructed."""

from ptychopinn_plugin.config.base import Config, setting


class InferenceConfig(Config):
    """The reconstruction: network stages if there is a model, then physics iterations."""

    refine_iterations: int = setting(
        20,
        'Physics passes over all frames; with a model they follow the network',
        ge=0,
        le=100_000,
    )
    update_probe: bool = setting(False, 'Refine the probe together with the object')
    subsets: int = setting(
        4, 'Groups of frames that a pass visits one after the other', ge=1, le=64, advanced=True
    )
    momentum: float = setting(
        0.9, 'Nesterov momentum of object and probe', ge=0, lt=1, advanced=True
    )
    object_step: float = setting(0.5, 'Step of the object update', gt=0, le=2, advanced=True)
    probe_step: float = setting(1.0, 'Step of the probe update', gt=0, le=2, advanced=True)
