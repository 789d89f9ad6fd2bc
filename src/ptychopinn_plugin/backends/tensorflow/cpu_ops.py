"""`Ops` of the solver on a processor: NumPy arrays, with nothing to compile for each shape."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps

# With more, XLA divides the work on the canvas too. Where the two are equal was not measured.
MOST_THREADS = 4


class TensorFlowCpuOps(ProcessorOps):
    """NumPy arrays beside TensorFlow's networks.

    TensorFlow would compile each function anew for each shape, which takes seconds for each scan,
    and its transforms take longer than SciPy's.

    Args:
        device: TensorFlow's name of the processor, where the networks compute.
        threads: among which batches are divided.
    """

    def __init__(self, device: str, threads: int = 1) -> None:
        super().__init__()
        self.device = device
        self.threads = threads

    def traces(self) -> dict[str, int]:
        """Return no function: none is traced."""
        return {}


SolverOps: TypeAlias = TensorFlowOps | TensorFlowCpuOps


def solver_ops(device: str, execution: ExecutionConfig) -> SolverOps:
    """Return the array operations that solve on a device."""
    threads = execution.threads or os.cpu_count() or 1
    if 'CPU' in device and threads <= MOST_THREADS:
        return TensorFlowCpuOps(device, thread_count(execution))
    return TensorFlowOps(device, fused=True)


def thread_count(execution: ExecutionConfig) -> int:
    """Return how many CPU threads a config gives: one for each core that may be used, or its own.

    OMP_NUM_THREADS counts as for PyTorch.
    """
    named = os.environ.get('OMP_NUM_THREADS', '').partition(',')[0]
    if hasattr(os, 'sched_getaffinity'):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return execution.threads or (int(named) if named.isdecimal() else 0) or cores


def batches_on_cores(ops: SolverOps) -> AbstractContextManager[None]:
    """Keep the threads among which batches are divided, where TensorFlow does not divide them."""
    if isinstance(ops, TensorFlowCpuOps):
        return ops.batches_on_cores(ops.threads)
    return nullcontext()


def on_arrays(stage: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]) -> Stage:
    """Return a stage of tensors as one of NumPy arrays."""

    def call(canvas_object: Array, direction: Array, dose: Array) -> Array:
        tensors = [tf.convert_to_tensor(array) for array in (canvas_object, direction, dose)]
        updated = stage(*tensors)
        # A stage that changes nothing returns what it was given.
        return canvas_object if updated is tensors[0] else np.array(updated)

    return call
