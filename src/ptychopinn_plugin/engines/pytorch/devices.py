"""What PyTorch can compute on."""

from __future__ import annotations

import torch


def devices() -> tuple[str, ...]:
    """Return the devices found, the one that `accelerator='auto'` takes first."""
    found = [
        f'cuda:{number} {torch.cuda.get_device_name(number)}'
        for number in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        found.append('mps')
    return (*found, f'cpu ({torch.get_num_threads()} threads)')
