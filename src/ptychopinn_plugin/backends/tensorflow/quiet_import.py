"""Suppression of the banners that TensorFlow's libraries print when they are imported."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Remarks (I), warnings (W) and the notice of Abseil that precedes them; errors (E, F) pass.
_BANNER = re.compile(rb'[IW]\d{4} |WARNING: All log messages before absl::InitializeLog')
# Printed as an error on every machine without an NVIDIA GPU.
_NO_GPU = re.compile(rb'E\d{4} .*failed call to cuInit')
# Read once, at the import: level 1 leaves out remarks, and Keras may be set to another framework.
_SETTINGS = {'TF_CPP_MIN_LOG_LEVEL': '1', 'KERAS_BACKEND': 'tensorflow'}


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress banners within the context: to import TensorFlow or to look for devices.

    Other output on standard error is printed at the end. The environment is restored.
    """
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update(_SETTINGS)
    try:
        with _filtered_errors():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _filtered_errors() -> Iterator[None]:
    """Collect what is written to file descriptor 2; print it afterwards, without banners."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        real = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            held.seek(0)
            for line in held:
                if not _is_banner(line):
                    os.write(real, line)
            os.close(real)


def _is_banner(line: bytes) -> bool:
    if _NO_GPU.match(line):
        return not Path('/proc/driver/nvidia').exists()
    return _BANNER.match(line) is not None
