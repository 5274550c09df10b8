"""What a piece of work costs the processor, said so that a busy machine or a collection of garbage does not decide a test."""

from collections.abc import Callable
from time import thread_time

__all__ = ["least_seconds"]

TRIES = 4


def least_seconds(work: Callable[[], object], *, enough: float = 1) -> float:
    """Return the least seconds of this thread's processor time that the work took.

    It is done again, at most four times in all, only while it takes `enough` or more: what an input costs it costs each time,
    what a first import or a collection of garbage costs comes once.
    """
    least = float("inf")
    for _ in range(TRIES):
        began = thread_time()
        work()
        least = min(least, thread_time() - began)
        if least < enough:
            break
    return least
