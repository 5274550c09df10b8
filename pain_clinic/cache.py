"""A cache in Redis that may be away: then each process remembers for itself, and no page breaks."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger("pain_clinic.cache")
PAUSE = 5.0


class ForgivingRedisCache(BaseCache):
    """Ask Redis; when it fails, use this process's memory and leave Redis alone for a few seconds.

    A stalled Redis then costs one short time-out every few seconds, not one for each call.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._redis = RedisCache(server, dict(params))
        memory = {key: value for key, value in params.items() if key != "OPTIONS"}
        self._memory = LocMemCache("forgiving", memory)
        self._away_until = 0.0

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._away_until:
            try:
                return getattr(self._redis, method)(*args, **kwargs)
            except (RedisError, OSError) as error:
                self._away_until = time.monotonic() + PAUSE
                log.warning("cache away", error=type(error).__name__)
        return getattr(self._memory, method)(*args, **kwargs)

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("add", key, value, *args, **kwargs))

    def get(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return self._ask("get", key, *args, **kwargs)

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        self._ask("set", key, value, *args, **kwargs)

    def touch(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("touch", key, *args, **kwargs))

    def delete(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("delete", key, *args, **kwargs))

    def has_key(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("has_key", key, *args, **kwargs))

    def incr(self, key: Any, delta: int = 1, *args: Any, **kwargs: Any) -> int:
        return int(self._ask("incr", key, delta, *args, **kwargs))

    def get_many(self, keys: Any, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(self._ask("get_many", keys, *args, **kwargs))

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return list(self._ask("set_many", data, *args, **kwargs))

    def delete_many(self, keys: Any, *args: Any, **kwargs: Any) -> None:
        self._ask("delete_many", keys, *args, **kwargs)

    def clear(self) -> None:
        self._memory.clear()
        self._ask("clear")
