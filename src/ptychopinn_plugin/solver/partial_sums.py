"""Sums over batches, divided among threads without a change of the result.

How many partial sums there are depends on the batches alone, and they are to be added in their
order: the number of threads only says how many of them grow at the same time.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

Item = TypeVar('Item')
Sum = TypeVar('Sum')

# Most partial sums, so that as many cores have work.
MOST_PARTS = 32
# Most pixels of partial sums of an object's size, beyond the first, over those of the frames: all
# are filled and added. More are allowed for a second part, which halves the time on two cores.
CANVAS_SHARE, SECOND_SHARE = 0.3, 0.7
# Pixels of all partial sums of an object's size, 12 bytes each, unless a few parts have more: 32
# parts of the object of 50,000 frames would take 0.6 GB.
MOST_CANVAS_PIXELS, FEW_PARTS = 2**23, 4
# Batches that a thread has been given at most: one that it works on and one to go on with.
BATCHES_AHEAD = 2


def part_count(batches: int, frame_pixels: int = 0, canvas_pixels: int = 0) -> int:
    """Return how many partial sums some batches have: an even number, or one.

    Args:
        batches: how many.
        frame_pixels: of all batches.
        canvas_pixels: of a partial sum of an object's size; 0 for sums that are small.
    """
    most = MOST_PARTS
    if canvas_pixels:
        times = frame_pixels / canvas_pixels
        most = min(most, 1 + max(int(CANVAS_SHARE * times), SECOND_SHARE * times >= 1))
        most = min(most, max(FEW_PARTS, MOST_CANVAS_PIXELS // canvas_pixels))
    most = min(batches, most) // 2 * 2
    if most < 2:
        return 1
    # As few as keep the longest one as short.
    longest = -(-batches // most)
    parts = -(-batches // longest)
    return parts + parts % 2


def in_turn(batches: Sequence[Item], parts: int) -> list[tuple[int, Item]]:
    """Return batches with the number of their part, one of each part after the other.

    The batches of a part are neighbours, of about equal number in each part.
    """
    bounds = [len(batches) * part // parts for part in range(parts + 1)]
    longest = max(end - start for start, end in itertools.pairwise(bounds))
    return [
        (part, batches[bounds[part] + place])
        for place in range(longest)
        for part in range(parts)
        if bounds[part] + place < bounds[part + 1]
    ]


def add_in_parts(
    workers: Sequence[Executor],
    items: Iterable[tuple[int, Item]],
    sums: list[Sum],
    add: Callable[[Sum, Item], Sum],
) -> list[Sum]:
    """Add items to partial sums, each sum in the order of its items.

    The items are taken in the calling thread, at most `BATCHES_AHEAD` for each worker before they
    are added.

    Args:
        workers: of one thread each; none to add in the calling thread.
        items: each with the number of its partial sum.
        sums: at first.
        add: returns a sum with an item added.

    Raises:
        What `add` has raised, as it is.
    """
    sums = [*sums]

    def add_one(part: int, item: Item) -> None:
        sums[part] = add(sums[part], item)

    if not workers:
        for part, item in items:
            add_one(part, item)
        return sums
    given: list[deque[Future[None]]] = [deque() for _ in workers]
    try:
        for part, item in items:
            waiting = given[part % len(workers)]
            if len(waiting) == BATCHES_AHEAD:
                waiting.popleft().result()
            waiting.append(workers[part % len(workers)].submit(add_one, part, item))
        for future in itertools.chain(*given):
            future.result()
    finally:
        _leave(list(itertools.chain(*given)))
    return sums


def _leave(futures: list[Future[None]]) -> None:
    """Leave out what has not begun, and wait for the rest."""
    for future in futures:
        future.cancel()
    wait(futures)
