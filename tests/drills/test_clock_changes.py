"""Worker and beat go through the nights in which clocks change, at speed, in five zones. TRUST T5, T6, T8."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.drills.live import FULL, until
from tests.drills.posting import Post
from tests.drills.starting import with_room
from tests.factories import NEW_YORK

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(3000)]
STEP = timedelta(minutes=5 if FULL else 30)
WALLS = ("00:30", "01:15", "01:30", "02:15", "02:30", "03:00", "03:30")


def changes(zone: str) -> list[str]:
    """Return the days of the year ahead on which a zone changes its clocks."""
    first, rules = datetime.now(NEW_YORK).date() + timedelta(days=2), ZoneInfo(zone)
    days = [first + timedelta(days=number) for number in range(364)]

    def offset(day: date) -> timedelta | None:
        return datetime.combine(day, time(), tzinfo=rules).utcoffset()

    return [day.isoformat() for day in days if offset(day) != offset(day + timedelta(days=1))]


# Spring and autumn of each zone that changes its clocks; Lord Howe by half an hour, Phoenix never.
NIGHTS = (
    *((zone, day) for zone in ("America/New_York", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe")
      for day in changes(zone)),
    *(("America/Phoenix", day) for day in changes("America/New_York")),
)  # fmt: skip

WAITING = "SELECT count(*) FROM scheduling_message WHERE state = 'due' AND planned_at > %s AND due_at <= %s"


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with tempfile.TemporaryDirectory(prefix="post-", ignore_cleanup_errors=True) as folder:
        made = Post(Path(folder))
        try:
            made.prepare()
            yield made
        finally:
            made.close()


def meant(zone: str, day: str, wall: str) -> datetime:
    """Return the instant of a wall time by the written rule: a skipped hour as if nothing had changed, of two the second."""
    moment = datetime.combine(date.fromisoformat(day), time.fromisoformat(wall), tzinfo=ZoneInfo(zone))
    is_skipped = moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) != moment.replace(tzinfo=None)
    return moment.replace(fold=0 if is_skipped else 1).astimezone(UTC)


def test_every_message_of_a_night_that_changes_the_clocks_leaves_once_and_in_its_moment(post: Post) -> None:
    post.begin()
    cases = json.loads(
        post.python("-m", "tests.drills.seed", "nights", json.dumps({"walls": WALLS, "nights": NIGHTS}),
                    CLINIC_DATABASE_ROLE="owner")
    )  # fmt: skip
    expected = {
        (case, f"at-{wall}"): meant(zone, day, wall) for case, (zone, day) in zip(cases, NIGHTS, strict=True) for wall in WALLS
    }
    found = post.ask(
        "SELECT m.public_id::text, a.public_id::text, m.step FROM scheduling_message m"
        " JOIN scheduling_appointment a ON a.id = m.appointment_id WHERE a.public_id = ANY(%s::uuid[])",
        [cases],
    )
    names = {row[0]: expected[row[1], row[2]] for row in found}
    arrived: dict[str, list[datetime]] = {}
    seen = 0
    try:
        for night in sorted({day for _, day in NIGHTS}):
            moments = [moment for moment in names.values() if abs((moment.date() - date.fromisoformat(night)).days) <= 1]
            now = min(moments) - timedelta(hours=1)
            while now <= max(moments) + timedelta(hours=1):
                post.move_clock(now)
                post.nudge()
                until(
                    lambda at=now: post.ask(WAITING, [at - timedelta(days=2), at]) == [(0,)],
                    within=with_room(30), what=f"what is due at {now} has left\n{post.log('worker')}",
                )  # fmt: skip
                for copy in post.receiver.copies[seen:]:
                    arrived.setdefault(copy.message, []).append(now)
                seen = len(post.receiver.copies)
                now += STEP
    finally:
        post.move_clock(None)

    assert len(names) == len(NIGHTS) * len(WALLS)
    assert {name: times for name, times in arrived.items() if len(times) > 1 and name in names} == {}
    assert names.keys() - arrived.keys() == set()
    late = {name: arrived[name][0] - moment for name, moment in names.items()}
    # A step that is looked at a second before the moment leaves it for the next one.
    assert {name: gap for name, gap in late.items() if not timedelta(seconds=-2) <= gap < STEP + timedelta(seconds=2)} == {}
