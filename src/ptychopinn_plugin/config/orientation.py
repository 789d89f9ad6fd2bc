"""Orientation of the scan axes against the detector's."""

from ptychopinn_plugin.config.base import Config, setting


class OrientationConfig(Config):
    """Reorients the positions of a scan; frames and probe stay."""

    transpose: bool = setting(
        False, 'Swap x and y of the positions, before the flips', advanced=True, label='Transpose'
    )
    flip_x: bool = setting(False, 'Reverse x of the positions', advanced=True, label='Flip x')
    flip_y: bool = setting(False, 'Reverse y of the positions', advanced=True, label='Flip y')

    @property
    def operations(self) -> tuple[str, ...]:
        """Return the names of the fields that are on, in the order in which they are applied."""
        return tuple(name for name, on in self if on)
