"""Repetition of a call with smaller batches where memory runs out."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

from ptychopinn_plugin.config import ExecutionConfig, TrainingConfig
from ptychopinn_plugin.errors import OutOfMemoryError

logger = logging.getLogger(__name__)

Result = TypeVar('Result')

# An eighth of the memory: what does not fit then is no matter of batches.
HALVINGS = 3
# Fewest frames of a training crop that its config allows.
FEWEST_CROP_FRAMES = 8


def halving_batches(
    run: Callable[[int], Result], is_out_of_memory: Callable[[Exception], bool]
) -> Result:
    """Call a function; where memory runs out, call it again with batches half as large.

    Args:
        run: called with what the sizes of batches are divided by: 1, then 2, 4 and 8.
        is_out_of_memory: returns whether an error of `run` means that memory ran out.

    Raises:
        OutOfMemoryError: memory ran out also with the smallest batches.
    """
    divisor = 1
    while True:
        try:
            return run(divisor)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = out_of_memory(error)
            if divisor == 2**HALVINGS:
                raise OutOfMemoryError(
                    f'{reason} also with batches 1/{divisor} as large; take fewer or smaller '
                    'frames, a smaller model, or a device with more memory (accelerator = cpu)'
                ) from error
        # After the handler: the error's frames hold arrays until it is gone.
        gc.collect()
        divisor *= 2
        logger.warning('%s: again with batches 1/%d as large', reason, divisor)


def out_of_memory(error: Exception) -> OutOfMemoryError:
    """Return an error that quotes another; frameworks add lines on their allocators to theirs."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return OutOfMemoryError(f'memory ran out ({lines[0][:120]})')


def divide_training(training: TrainingConfig, divisor: int) -> TrainingConfig:
    """Return a training with smaller batches, or crops, where the network has these."""
    if divisor == 1:
        return training
    return training.model_copy(
        update={
            'batch_size': max(1, training.batch_size // divisor),
            'crop_frames': max(FEWEST_CROP_FRAMES, training.crop_frames // divisor),
        }
    )


def divide_inference(
    execution: ExecutionConfig, automatic_size: int, divisor: int
) -> ExecutionConfig:
    """Return a config with fewer groups a batch.

    Args:
        execution: of the run.
        automatic_size: groups a batch where the config leaves them open.
        divisor: what they are divided by.
    """
    if divisor == 1:
        return execution
    size = execution.inference_batch_size or automatic_size
    return execution.model_copy(update={'inference_batch_size': max(1, size // divisor)})
