"""How the scan's axes lie to the detector's."""

from ptychopinn_plugin.config.base import Config, setting


class OrientationConfig(Config):
    """Turns the positions of a scan; frames and probe stay."""

    transpose: bool = setting(
        False, 'Swap x and y of the positions, before the flips', advanced=True
    )
    flip_x: bool = setting(False, 'Turn the positions round along x', advanced=True)
    flip_y: bool = setting(False, 'Turn the positions round along y', advanced=True)
