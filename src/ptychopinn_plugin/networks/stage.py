"""The learned stage as a reconstruction sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ptychopinn_plugin.physics.ops import Array

# Maps (object, preconditioned gradient image, dose), all (H, W), to the updated object; returns
# the very object that it was given where it changes nothing at that dose.
Stage: TypeAlias = Callable[[Array, Array, Array], Array]
