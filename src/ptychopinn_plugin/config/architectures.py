"""The network architectures and how they differ for settings and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Architecture: TypeAlias = Literal['unrolled', 'cnn']


@dataclass(frozen=True)
class ArchitectureTraits:
    """Properties of an architecture that the rest of the package uses.

    Attributes:
        display_name: for the description of the setting `architecture`.
        fixed_frame_size: whether one network takes frames of one size only.
        comes_first: whether the network makes the object that physics passes start from, or
            changes the object that they have reached.
    """

    display_name: str
    fixed_frame_size: bool
    comes_first: bool


ARCHITECTURES: dict[Architecture, ArchitectureTraits] = {
    'unrolled': ArchitectureTraits(
        'a learned solver on the object', fixed_frame_size=False, comes_first=False
    ),
    'cnn': ArchitectureTraits('PtychoPINN as published', fixed_frame_size=True, comes_first=True),
}
PUBLISHED: Architecture = 'cnn'
"""The network of PtychoPINN's papers and code, which their settings are for."""


def describe_architectures() -> str:
    """Return the help of the setting `architecture`."""
    rows = [f'{name} ({traits.display_name})' for name, traits in ARCHITECTURES.items()]
    return f'Network: {" or ".join(rows)}'
