"""The numbers that a field takes, and what becomes of the text that is typed for one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

# Of a field at 0, whose own size says nothing.
FIRST_STEP = 1e-3
DIGITS = 12


@dataclass(frozen=True)
class NumberRange:
    """The range of a field.

    Attributes:
        whole: whether it takes whole numbers only.
        least: the least number, or the limit above which numbers lie.
        greatest: the greatest number, or the limit below which numbers lie.
        above_least: whether `least` itself is outside.
        below_greatest: whether `greatest` itself is outside.
    """

    whole: bool
    least: float = -math.inf
    greatest: float = math.inf
    above_least: bool = False
    below_greatest: bool = False

    @classmethod
    def of_field(cls, field: FieldInfo) -> NumberRange:
        """Return the range that a field declares."""
        least, greatest, above, below = -math.inf, math.inf, False, False
        for limit in field.metadata:
            if isinstance(limit, Ge | Gt):
                above = isinstance(limit, Gt)
                least = float(str(limit.gt if isinstance(limit, Gt) else limit.ge))
            elif isinstance(limit, Le | Lt):
                below = isinstance(limit, Lt)
                greatest = float(str(limit.lt if isinstance(limit, Lt) else limit.le))
        return cls(field.annotation is int, least, greatest, above, below)

    def read(self, text: str) -> float | None:
        """Return the number that a text is, None where it is none of the kind."""
        try:
            number = float(text)
        except ValueError:
            return None
        if not math.isfinite(number) or (self.whole and not number.is_integer()):
            return None
        return int(number) if self.whole else number

    def write(self, number: float) -> str:
        """Return the text of a number, which `read` turns into the same number."""
        return str(int(number)) if self.whole else f'{number:.{DIGITS}g}'

    def contains(self, number: float) -> bool:
        """Return whether a number is in the range."""
        low = number > self.least if self.above_least else number >= self.least
        high = number < self.greatest if self.below_greatest else number <= self.greatest
        return low and high

    def nearest(self, number: float) -> float | None:
        """Return the number of the range nearest to another one; None where none is nearest."""
        if self.contains(number):
            return number
        bound = self.least if number <= self.least else self.greatest
        if not self.contains(bound):
            return None
        return int(bound) if self.whole else bound

    def step(self, number: float, count: int) -> float:
        """Return the number that lies some steps further, within the range.

        A whole number changes by 1, another one by the power of ten that it is larger than.
        """
        size = 1.0 if self.whole else _power_of_ten(number, down=number * count < 0)
        moved = round(number + count * size, DIGITS)
        found = self.nearest(moved)
        found = number if found is None else found
        return int(found) if self.whole else found

    def describe(self) -> str:
        """Return the range in words, such as 'a whole number from 1 to 100000'."""
        words = 'a whole number' if self.whole else 'a number'
        if math.isfinite(self.least):
            words += f' {"above" if self.above_least else "from"} {self.write(self.least)}'
        if math.isfinite(self.greatest):
            both = math.isfinite(self.least)
            and_ = ' and' if both and (self.above_least or self.below_greatest) else ''
            to = 'below' if self.below_greatest else 'up to' if not both or and_ else 'to'
            words += f'{and_} {to} {self.write(self.greatest)}'
        return words


def _power_of_ten(number: float, *, down: bool) -> float:
    """Return the greatest power of ten that a number is not below, or above when it falls."""
    if number == 0:
        return FIRST_STEP
    exponent = math.log10(abs(number))
    below = math.ceil(exponent) - 1 if down else math.floor(exponent)
    return float(10.0**below)
