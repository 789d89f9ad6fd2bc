"""Words of messages, the same everywhere."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as '1 epoch' and '2 epochs'.

    Args:
        number: how many.
        noun: in the singular; its plural ends in 's'.
    """
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def duration(seconds: float) -> str:
    """Return a time for people, as '40 s', '3 min 20 s' and '2 h 5 min'."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f'{whole} s'
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f'{minutes} min {rest} s' if rest else f'{minutes} min'
    hours, minutes = divmod(round(whole / 60), 60)
    return f'{hours} h {minutes} min' if minutes else f'{hours} h'
