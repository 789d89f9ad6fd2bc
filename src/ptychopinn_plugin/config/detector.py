"""Files on the detector that Ptychodus has no place for."""

from ptychopinn_plugin.config.base import Config, setting


class DetectorConfig(Config):
    """Files on the detector for which Ptychodus has no place; commands take them as flags."""

    background_file: str = setting(
        '',
        'File of a known background, such as a dark frame: counts a pixel, an .npy or an .npz with '
        'background; empty for none',
        advanced=True,
        label='Background file',
        file=True,
    )
