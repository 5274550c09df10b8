"""What every test against the database begins with."""

from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _doors_remember_nobody() -> None:
    """Begin with an empty cache: tries that other tests made from the same address in the last minute count for the doors too."""
    cache.clear()
