"""Which groups of a table are too small to show, and which others have to go with them. Pure: standard library only.

A group of few people tells of each of them. Hiding it is not enough where the total is shown: what is hidden must not come
out as the total less everything else. So a line of the table has either nothing hidden, or at least two groups that
together are large enough (cell suppression, primary and complementary).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

LEAST = 11  # the smallest cell that the payers' own public data show (CMS cell size suppression policy)
Cell = TypeVar("Cell", bound=Hashable)


def is_small(nested: Sequence[int], least: int = LEAST) -> bool:
    """Say whether the last of these counts may not be shown.

    They are of the same group in windows of time of which each contains the one before it. A window is also too small to
    show when it holds too few more than a shorter one that is shown: their difference would be a small group.
    """
    shown: list[int] = []
    is_hidden = False
    for count in nested:
        is_hidden = 0 < count < least or any(0 < count - other < least for other in shown)
        if not is_hidden:
            shown.append(count)
    return is_hidden


def hide(
    counts: Mapping[Cell, int], lines: Iterable[Collection[Cell]], hidden: Collection[Cell], least: int = LEAST
) -> frozenset[Cell]:
    """Return all cells to hide: those given, and the smallest others that protect them.

    Each line is a set of cells whose sum is shown. Empty cells protect nothing and need no protection.
    """
    out = set(hidden)
    drawn = [[cell for cell in line if counts.get(cell, 0) > 0] for line in lines]
    is_open = True
    while is_open:
        is_open = False
        for line in drawn:
            is_open = _protect(line, counts, out, least) or is_open
    return frozenset(out)


def _protect(line: Sequence[Cell], counts: Mapping[Cell, int], out: set[Cell], least: int) -> bool:
    """Hide more of one line until what is hidden in it is safe; say whether anything was added."""
    is_changed = False
    while True:
        gone = [cell for cell in line if cell in out]
        left = [cell for cell in line if cell not in out]
        if not gone or not left or (len(gone) > 1 and sum(counts[cell] for cell in gone) >= least):
            return is_changed
        out.add(min(left, key=lambda cell: (counts[cell], str(cell))))
        is_changed = True
