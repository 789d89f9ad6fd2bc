"""Where and how the work runs."""

from typing import Literal

from ptychopinn_plugin.config.base import Backend, Config, setting


class ExecutionConfig(Config):
    """Device, threads, reproducibility and logging; never part of a model."""

    backend: Backend = setting('tensorflow', 'Framework that computes')
    accelerator: Literal['auto', 'cpu', 'cuda', 'mps'] = setting(
        'auto', 'Device: auto takes a GPU where there is one'
    )
    threads: int = setting(0, 'CPU threads, 0 for one a core', ge=0, le=4096, advanced=True)
    deterministic: bool = setting(False, 'Same numbers on every run, at some cost in speed')
    logger: Literal['csv', 'tensorboard', 'mlflow', 'none'] = setting(
        'csv', 'Where training losses are logged'
    )
