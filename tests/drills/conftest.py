"""One live clinic for all drills that need it; every test gets it whole and with everything running."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.live import Live, until
from tests.drills.starting import with_room


@pytest.fixture(scope="session")
def _live() -> Iterator[Live]:
    with tempfile.TemporaryDirectory(prefix="drill-", ignore_cleanup_errors=True) as folder:
        live = Live(Path(folder))
        try:
            live.prepare()
            yield live
        finally:
            live.close()


@pytest.fixture
def live(_live: Live) -> Iterator[Live]:
    """Return the live clinic with every line whole and web, worker and beat running."""
    for line in (_live.database, _live.redis, _live.mail):
        line.mend()
    _live.start(*(name for name in ("web", "worker", "beat") if name not in {one.name for one in _live.processes.children}))
    until(lambda: _live.get("/health/ready").status == 200, within=with_room(60), what=lambda: _live.log("worker"))
    yield _live
    for line in (_live.database, _live.redis, _live.mail):
        line.mend()
