"""The state of a computation as named arrays and values, from which it can go on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
        images: arrays (H, W) on the whole canvas of a scan. Of several processes that share the
            scan the first one alone has them.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    images: Mapping[str, Array] = field(default_factory=dict)

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
        images: dict[str, Array] = {}
        for part, state in parts.items():
            prefix = part + SEPARATOR if part else ''
            arrays |= {prefix + name: array for name, array in state.arrays.items()}
            values |= {prefix + name: value for name, value in state.values.items()}
            images |= {prefix + name: image for name, image in state.images.items()}
        return cls(arrays, values, images)

    def part(self, name: str) -> SavedState:
        """Return a part, empty where there is none of this name."""
        prefix = name + SEPARATOR
        return SavedState(
            {n.removeprefix(prefix): a for n, a in self.arrays.items() if n.startswith(prefix)},
            {n.removeprefix(prefix): v for n, v in self.values.items() if n.startswith(prefix)},
            {n.removeprefix(prefix): i for n, i in self.images.items() if n.startswith(prefix)},
        )

    def with_images(self, names: Collection[str]) -> SavedState:
        """Return the state with some of its arrays as images."""
        images = {name: array for name, array in self.arrays.items() if name in names}
        rest = {name: array for name, array in self.arrays.items() if name not in names}
        return SavedState(rest, self.values, {**self.images, **images})

    def without_images(self) -> SavedState:
        """Return the state of a process that is not the first one: None for every image."""
        return SavedState(self.arrays, {**self.values, **dict.fromkeys(self.images)})

    def __bool__(self) -> bool:
        """Return whether there is anything in it."""
        return bool(self.arrays or self.values or self.images)

    def __getitem__(self, name: str) -> Array | Value:
        """Return an array or a list, as a copy that may be changed, or another value.

        Raises:
            KeyError: there is none of this name.
        """
        for arrays in (self.arrays, self.images):
            if name in arrays:
                return copy(arrays[name])
        return copy(self.values[name])

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
        saved_images: those of them that are images, see `SavedState.images`.
    """

    saved_fields: ClassVar[tuple[str, ...]] = ()
    saved_images: ClassVar[tuple[str, ...]] = ()

    def saved_state(self) -> SavedState:
        """Return the state, which later changes of this object do not change."""
        parts, own = {}, {}
        for name in self.saved_fields:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                parts[name] = value.saved_state()
            else:
                own[name] = np.array(value) if isinstance(value, np.generic) else copy(value)
        return SavedState.joined({'': SavedState.of(**own).with_images(self.saved_images), **parts})

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
