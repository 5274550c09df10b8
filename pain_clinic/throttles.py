"""How often one client may do one thing: counted in the cache, which may forget but never holds anybody up."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.core.cache import cache


def count(scope: str, who: str, *, window: timedelta) -> int:
    """Count one more and return how many there were since the window's first; who it was is kept as a hash."""
    key = _key(scope, who)
    if cache.add(key, 1, window.total_seconds()):
        return 1
    try:
        return int(cache.incr(key))
    except ValueError:  # it ended between the two calls
        cache.set(key, 1, window.total_seconds())
        return 1


def counted(scope: str, who: str) -> int:
    """Return how many were counted, without counting."""
    return int(cache.get(_key(scope, who)) or 0)


def _key(scope: str, who: str) -> str:
    return f"throttle:{scope}:{hashlib.sha256(who.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
