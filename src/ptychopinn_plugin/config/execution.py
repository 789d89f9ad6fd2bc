"""Settings of device, optimiser and logging."""

from typing import Literal, Self

from pydantic import model_validator

from ptychopinn_plugin.config.backend_names import Backend
from ptychopinn_plugin.config.base import Config, setting


class ExecutionConfig(Config):
    """Device, threads, optimiser, reproducibility and logging."""

    backend: Backend = setting('tensorflow', 'Framework that computes')
    accelerator: Literal['auto', 'cpu', 'cuda', 'mps'] = setting(
        'auto', 'Device: auto takes a GPU where there is one'
    )
    devices: int = setting(
        1, 'Devices that train together; PyTorch only', ge=1, le=1024, advanced=True
    )
    num_nodes: int = setting(
        1, 'Machines that train together; PyTorch only', ge=1, le=1024, advanced=True
    )
    strategy: Literal['auto', 'ddp', 'fsdp'] = setting(
        'auto', "How several devices share a training, in Lightning's words", advanced=True
    )
    threads: int = setting(0, 'CPU threads, 0 for one a core', ge=0, le=4096, advanced=True)
    num_workers: int = setting(
        0,
        'Helpers that prepare training batches: processes in PyTorch, threads in TensorFlow',
        ge=0,
        le=256,
        advanced=True,
    )
    deterministic: bool = setting(False, 'Same numbers on every run, at some cost in speed')
    learning_rate: float = setting(
        0.0, "Peak learning rate, 0 for the architecture's own", ge=0, le=1
    )
    scheduler: Literal['Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'] = setting(
        'Default', "Course of the learning rate; Default is the architecture's own", advanced=True
    )
    gradient_clip_val: float = setting(
        1.0, 'Greatest norm of a gradient, 0 for any', ge=0, le=1e6, advanced=True
    )
    accum_steps: int = setting(
        1, 'Batches whose gradients make one step of the optimiser', ge=1, le=10_000, advanced=True
    )
    enable_checkpointing: bool = setting(
        True, 'Keep checkpoints, from which a training can be resumed', advanced=True
    )
    checkpoint_save_top_k: int = setting(
        1, 'Best checkpoints to keep beside the last one', ge=0, le=1000, advanced=True
    )
    checkpoint_monitor_metric: Literal['val_loss', 'train_loss'] = setting(
        'val_loss', 'Loss that says which epoch is the best', advanced=True
    )
    early_stop_patience: int = setting(
        10, 'Epochs without improvement before training stops', ge=1, le=100_000
    )
    inference_batch_size: int = setting(
        0,
        'Groups reconstructed together, 0 for a fitting number',
        architecture='cnn',
        ge=0,
        le=1_000_000,
        advanced=True,
    )
    logger: Literal['csv', 'tensorboard', 'mlflow', 'none'] = setting(
        'csv', 'Where training losses are logged'
    )

    @model_validator(mode='after')
    def _check_combinations(self) -> Self:
        """Refuse devices, machines and strategies that do not go together."""
        together = self.devices * self.num_nodes
        if self.strategy == 'fsdp' and self.accelerator not in ('auto', 'cuda'):
            raise ValueError(
                f"strategy 'fsdp' spreads a network over GPUs of CUDA, but accelerator is "
                f"{self.accelerator!r}; take accelerator 'cuda', or strategy 'ddp' or 'auto'"
            )
        if self.accelerator == 'mps' and together > 1:
            raise ValueError(
                f"accelerator 'mps' is one device, but devices is {self.devices} and num_nodes "
                f'{self.num_nodes}; set both to 1'
            )
        return self
