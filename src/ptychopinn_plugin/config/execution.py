"""Settings of device, optimiser and logging."""

from typing import Literal, Self, TypeAlias

from pydantic import model_validator

from ptychopinn_plugin.config.backend_names import Backend
from ptychopinn_plugin.config.base import Config, setting

Precision: TypeAlias = Literal['float32', 'bfloat16']


class ExecutionConfig(Config):
    """Device, threads, optimiser, reproducibility and logging."""

    backend: Backend = setting('tensorflow', 'Framework that computes', label='Backend')
    accelerator: Literal['auto', 'cpu', 'cuda', 'mps'] = setting(
        'auto', 'Device: auto takes a GPU where there is one', label='Device'
    )
    devices: int = setting(
        1,
        'Devices of this machine that train together, or reconstruct one scan together (command '
        'line only); PyTorch only',
        ge=1,
        le=1024,
        advanced=True,
        label='Devices',
        backend='pytorch',
    )
    num_nodes: int = setting(
        1,
        'Machines that train together; PyTorch only',
        ge=1,
        le=1024,
        advanced=True,
        label='Machines',
        backend='pytorch',
        job='training',
    )
    strategy: Literal['auto', 'ddp', 'fsdp'] = setting(
        'auto',
        "How several devices share a training, in Lightning's words",
        advanced=True,
        label='Distribution strategy',
        backend='pytorch',
        job='training',
    )
    threads: int = setting(
        0,
        'CPU threads, 0 for one a core',
        ge=0,
        le=4096,
        advanced=True,
        label='CPU threads',
        zero='one per core',
    )
    num_workers: int = setting(
        0,
        'Helpers that prepare training batches: processes in PyTorch, threads in TensorFlow',
        ge=0,
        le=256,
        advanced=True,
        label='Data loader workers',
        zero='none',
        job='training',
    )
    deterministic: bool = setting(
        False, 'Same numbers on every run, at some cost in speed', label='Deterministic'
    )
    learning_rate: float = setting(
        0.0,
        "Peak learning rate, 0 for the architecture's own",
        ge=0,
        le=1,
        label='Learning rate',
        group='Training',
        zero='automatic',
        job='training',
    )
    scheduler: Literal['Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'] = setting(
        'Default',
        "Course of the learning rate; Default is the architecture's own",
        advanced=True,
        label='Learning rate schedule',
        group='Training',
        job='training',
    )
    gradient_clip_val: float = setting(
        1.0,
        'Greatest norm of a gradient, 0 for any',
        ge=0,
        le=1e6,
        advanced=True,
        label='Clip gradient norm',
        group='Training',
        zero='off',
        job='training',
    )
    accum_steps: int = setting(
        1,
        'Batches whose gradients make one step of the optimiser',
        ge=1,
        le=10_000,
        advanced=True,
        label='Batches per optimiser step',
        group='Training',
        job='training',
    )
    enable_checkpointing: bool = setting(
        True,
        'Keep checkpoints, from which `ptychopinn train --resume` continues the training',
        advanced=True,
        label='Keep checkpoints',
        group='Training',
        job='training',
    )
    checkpoint_save_top_k: int = setting(
        1,
        'Best checkpoints to keep beside the last one',
        ge=0,
        le=1000,
        advanced=True,
        label='Best checkpoints to keep',
        group='Training',
        job='training',
    )
    checkpoint_monitor_metric: Literal['val_loss', 'train_loss'] = setting(
        'val_loss',
        'Loss that says which epoch is the best',
        advanced=True,
        label='Loss of the best epoch',
        group='Training',
        job='training',
    )
    early_stop_patience: int = setting(
        10,
        'Epochs without improvement before training stops',
        ge=1,
        le=100_000,
        label='Patience',
        group='Training',
        unit='epochs',
        job='training',
    )
    training_precision: Precision = setting(
        'float32',
        "Numbers of the network's convolutions in a training: bfloat16, of 8 significant bits, is "
        'faster where the processor or the GPU has instructions for it; weights and all else stay '
        'float32',
        architecture='cnn',
        advanced=True,
        label='Precision of the training',
        group='Training',
        job='training',
    )
    inference_batch_size: int = setting(
        0,
        'Groups reconstructed together, 0 for a fitting number',
        architecture='cnn',
        ge=0,
        le=1_000_000,
        advanced=True,
        label='Groups per batch',
        group='Reconstruction',
        zero='automatic',
        job='reconstruction',
    )
    inference_precision: Precision = setting(
        'float32',
        "Numbers of the network's convolutions: bfloat16, of 8 significant bits, is faster where "
        'the processor or the GPU has instructions for it; all else stays float32',
        architecture='cnn',
        advanced=True,
        label='Precision of the network',
        group='Reconstruction',
        job='reconstruction',
    )
    logger: Literal['csv', 'tensorboard', 'mlflow', 'none'] = setting(
        'csv',
        'Where training losses are logged',
        label='Training log',
        group='Training',
        job='training',
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
