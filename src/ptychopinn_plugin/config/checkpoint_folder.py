"""Checkpoints of reconstructions that run in Ptychodus."""

from ptychopinn_plugin.config.base import Config, setting


class CheckpointConfig(Config):
    """Checkpoints of reconstructions in Ptychodus; commands take their folder as a flag."""

    folder: str = setting(
        '',
        'Folder in which a reconstruction keeps its state every minute, so that the next one of '
        'the same product goes on where it was stopped or killed; empty for none',
        advanced=True,
        label='Checkpoint folder',
        folder=True,
    )
