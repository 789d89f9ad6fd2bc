"""The state of a computation as named arrays and values, from which it can go on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Value: TypeAlias = bool | int | float | str | list[str] | list[float] | None
SEPARATOR = '/'


@dataclass(frozen=True, eq=False)
class SavedState:
    """Named arrays and values; names of parts are joined by slashes, as `problem/flux`.

    Attributes:
        arrays: of any shape and dtype but object.
        values: what JSON can hold; None also for an array that is not there.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, **entries: Array | Value) -> SavedState:
        """Return the state that consists of some arrays and values."""
        arrays = {name: one for name, one in entries.items() if isinstance(one, np.ndarray)}
        values = {name: one for name, one in entries.items() if not isinstance(one, np.ndarray)}
        return cls(arrays, values)

    @classmethod
    def joined(cls, parts: Mapping[str, SavedState]) -> SavedState:
        """Return one state of several parts; the part named '' keeps its names."""
        arrays: dict[str, Array] = {}
        values: dict[str, Value] = {}
        for part, state in parts.items():
            prefix = part + SEPARATOR if part else ''
            arrays |= {prefix + name: array for name, array in state.arrays.items()}
            values |= {prefix + name: value for name, value in state.values.items()}
        return cls(arrays, values)

    def part(self, name: str) -> SavedState:
        """Return a part, empty where there is none of this name."""
        prefix = name + SEPARATOR
        return SavedState(
            {n.removeprefix(prefix): a for n, a in self.arrays.items() if n.startswith(prefix)},
            {n.removeprefix(prefix): v for n, v in self.values.items() if n.startswith(prefix)},
        )

    def __bool__(self) -> bool:
        """Return whether there is anything in it."""
        return bool(self.arrays or self.values)

    def __getitem__(self, name: str) -> Array | Value:
        """Return an array or a list, as a copy that may be changed, or another value.

        Raises:
            KeyError: there is none of this name.
        """
        return copy(self.arrays[name] if name in self.arrays else self.values[name])

    def number(self, name: str) -> float:
        """Return a number.

        Raises:
            KeyError: there is none of this name.
            TypeError: it is no number.
        """
        value = self.values[name]
        if isinstance(value, int | float):
            return value
        raise TypeError(f'{name} must be a number, got {type(value).__name__}')

    def text(self, name: str) -> str:
        """Return a text.

        Raises:
            KeyError: there is none of this name.
            TypeError: it is no text.
        """
        value = self.values[name]
        if isinstance(value, str):
            return value
        raise TypeError(f'{name} must be a text, got {type(value).__name__}')


class Stateful:
    """Base of what changes during a computation and can go on from a saved state.

    Attributes:
        saved_fields: names of the attributes that change: NumPy arrays and scalars, what
            `SavedState.values` holds, or themselves `Stateful`. What follows from the arguments of
            the constructor, and caches, are not among them.
    """

    saved_fields: ClassVar[tuple[str, ...]] = ()

    def saved_state(self) -> SavedState:
        """Return the state, which later changes of this object do not change."""
        parts, own = {}, {}
        for name in self.saved_fields:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                parts[name] = value.saved_state()
            else:
                own[name] = np.array(value) if isinstance(value, np.generic) else copy(value)
        return SavedState.joined({'': SavedState.of(**own), **parts})

    def restore(self, state: SavedState) -> None:
        """Go on from a state that an object made by the same arguments has returned.

        Raises:
            KeyError: it is the state of something else.
        """
        for name in self.saved_fields:
            present = getattr(self, name)
            if isinstance(present, Stateful):
                present.restore(state.part(name))
            else:
                value = state[name]
                # NumPy's own scalars are saved as arrays without axes.
                scalar = isinstance(value, np.ndarray) and value.ndim == 0
                setattr(self, name, np.asarray(value)[()] if scalar else value)
