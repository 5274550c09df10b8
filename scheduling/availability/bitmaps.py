"""Arithmetic on long bitmaps: no loop over slots anywhere."""

from __future__ import annotations

from collections.abc import Iterable


def erode(free: int, length: int) -> int:
    """Return the slots from which `length` slots in a row are free, in log2(length) shifts."""
    if length <= 0:
        raise ValueError("a stretch has at least one slot")
    have = 1
    while have * 2 <= length:
        free &= free >> have
        have *= 2
    if have < length:
        free &= free >> (length - have)
    return free


def at_least(count: int, bitmaps: Iterable[int]) -> int:
    """Return the slots set in `count` or more of the bitmaps."""
    if count == 1:
        found = 0
        for bitmap in bitmaps:
            found |= bitmap
        return found
    reached = [0] * count  # reached[i]: set in more than i of the bitmaps so far
    for bitmap in bitmaps:
        for i in range(count - 1, 0, -1):
            reached[i] |= reached[i - 1] & bitmap
        reached[0] |= bitmap
    return reached[-1]


def lowest(bits: int) -> int:
    """Return the number of the lowest set bit of a bitmap that has one."""
    return (bits & -bits).bit_length() - 1
