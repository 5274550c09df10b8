"""Days as bits of a number: to walk them, the lowest, the nearest."""

from __future__ import annotations

from collections.abc import Iterator


def bits_of(mask: int) -> Iterator[int]:
    """Yield the places of the bits that are set, the lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def lowest(mask: int) -> int:
    """Return the place of the lowest bit."""
    return (mask & -mask).bit_length() - 1


def nearest(mask: int, to: int) -> int:
    """Return how far the nearest day is."""
    if to < 0:
        return lowest(mask) - to
    below = mask & ((1 << (to + 1)) - 1)
    above = mask >> to
    ways = [to - below.bit_length() + 1] if below else []
    if above:
        ways.append(lowest(above))
    return min(ways)
