"""Words of messages, the same everywhere."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as '1 epoch' and '2 epochs'.

    Args:
        number: how many.
        noun: in the singular; its plural ends in 's'.
    """
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'
