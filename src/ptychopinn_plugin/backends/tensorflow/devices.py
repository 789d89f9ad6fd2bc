"""Devices of TensorFlow: which there are, the selected one, threads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

# Nothing else in TensorFlow says how much of a device it may take.
from tensorflow.python.client import device_lib

from ptychopinn_plugin.backends.registry import check_supported
from ptychopinn_plugin.backends.tensorflow.quiet_import import quiet
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError

logger = logging.getLogger(__name__)

_NAMES = {'cpu': '/CPU:0', 'cuda': '/GPU:0'}


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that TensorFlow finds here, that of 'auto' first."""
    with quiet():
        return ('cuda', 'cpu') if tf.config.list_physical_devices('GPU') else ('cpu',)


def select_device(execution: ExecutionConfig) -> str:
    """Return TensorFlow's name of the device of a config.

    Raises:
        BackendUnavailableError: TensorFlow does not find it here.
        ConfigError: several devices are asked for.
    """
    check_supported(execution)
    found = devices()
    if execution.accelerator == 'auto':
        return _NAMES[found[0]]
    if execution.accelerator not in found:
        raise BackendUnavailableError(
            f'TensorFlow backend selected with accelerator {execution.accelerator!r}, but '
            f'TensorFlow finds only {", ".join(found)} here; choose one of these or auto'
        )
    return _NAMES[execution.accelerator]


def memory_limit(name: str) -> int:
    """Return how many bytes of a device TensorFlow may take in all.

    Args:
        name: of the device, as GPU:0.
    """
    with quiet():
        return next(
            (
                int(one.memory_limit)
                for one in device_lib.list_local_devices()
                if one.name.endswith(f':{name}')
            ),
            0,
        )


def configure_runtime(execution: ExecutionConfig) -> None:
    """Allocate a GPU's memory as it is needed, set the config's threads, and its determinism.

    TensorFlow fixes memory and threads at its first computation in a process; a later change is
    not possible and logged as a warning. Deterministic operations stay so in this process: there is
    no function that undoes it.
    """
    if execution.deterministic:
        # Sums over threads in a fixed order. All random numbers here have seeds, as it demands.
        tf.config.experimental.enable_op_determinism()
    try:
        for gpu in tf.config.list_physical_devices('GPU'):
            tf.config.experimental.set_memory_growth(gpu, True)
        if execution.threads != tf.config.threading.get_intra_op_parallelism_threads():
            tf.config.threading.set_intra_op_parallelism_threads(execution.threads)
    except (RuntimeError, ValueError) as error:
        logger.warning('TensorFlow is already at work with other settings: %s', error)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of TensorFlow or NumPy means that memory ran out."""
    return isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)


@contextmanager
def computing(device: str) -> Iterator[None]:
    """Compute on a device, without TensorFlow's advice about tracing."""
    advice = tf.get_logger()
    level = advice.level
    advice.setLevel(logging.ERROR)
    try:
        with tf.device(device):
            yield
    finally:
        advice.setLevel(level)
