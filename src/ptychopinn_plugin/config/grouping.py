"""Settings of the frames that are used and how they are grouped."""

from ptychopinn_plugin.config.base import Config, setting


class GroupingConfig(Config):
    """Groups of neighbouring frames, for the `cnn` architecture."""

    n_groups: int = setting(
        0,
        'Groups of frames, 0 for one around each frame; more than frames draws further ones',
        architecture='cnn',
        ge=0,
        le=10_000_000,
        advanced=True,
        label='Groups',
        zero='one per frame',
    )
    neighbor_count: int = setting(
        0,
        'Nearest frames that a group is drawn from, 0 for as many as fill it: then training '
        'and reconstruction see the same groups',
        architecture='cnn',
        ge=0,
        le=1000,
        advanced=True,
        label='Nearest frames of a group',
        zero='as many as fill it',
    )
    n_subsample: int = setting(
        0,
        'Frames to draw from the scan, 0 for all',
        architecture='cnn',
        ge=0,
        le=10_000_000,
        advanced=True,
        label='Frames drawn',
        zero='all',
    )
    subsample_seed: int = setting(
        0,
        'Seed of the drawn frames and groups',
        architecture='cnn',
        ge=0,
        le=2**31 - 1,
        advanced=True,
        label='Seed of drawn frames',
    )
    sequential_sampling: bool = setting(
        False,
        'Take the first frames and groups in order, draw none',
        architecture='cnn',
        advanced=True,
        label='Sequential sampling',
    )

    def neighbors_for(self, gridsize: int) -> int:
        """Return how many of the nearest frames a group of gridsize² is drawn from."""
        return self.neighbor_count or max(gridsize**2 - 1, 1)
