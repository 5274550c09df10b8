"""Web and worker two hours before or after the database. TRUST T7."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.live import LONGEST, Live, until
from tests.drills.starting import with_room

CLOCK = Path(__file__).parent / "clock"
pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]


def moved(hours: int) -> dict[str, str]:
    """Return the environment in which a program's clock is so many hours ahead."""
    return {"PYTHONPATH": str(CLOCK), "DRILL_HOURS_APART": str(hours)}


@pytest.fixture
def apart(live: Live) -> Iterator[Live]:
    for name in ("web", "worker"):
        live.end(name)
    yield live
    for name in {"web", "worker"} & {child.name for child in live.processes.children}:
        live.end(name)  # the next drill starts them with the true clock


@pytest.mark.parametrize(("web", "worker"), [(2, -2), (-2, 2)], ids=["web ahead", "worker ahead"])
def test_with_clocks_apart_what_is_due_follows_the_database_and_nothing_crashes(apart: Live, web: int, worker: int) -> None:
    live, note = apart, f"web {web}"
    live.start("web", **moved(web))
    hold = live.hold()
    answers = [live.book(live.wanted(note=note)) for _ in range(3)]
    mine = f"kind = 'confirmation' AND appointment_id IN (SELECT id FROM scheduling_appointment WHERE note = '{note}')"
    offset = live.ask(f"SELECT extract(epoch FROM created_at - now())::int / 1800 FROM scheduling_message WHERE {mine}")
    due = live.count("scheduling_message", f"{mine} AND due_at <= now()")
    later = live.ask(f"SELECT min(id) FROM scheduling_message WHERE {mine}")[0][0]
    live.ask(f"UPDATE scheduling_message SET due_at = now() + interval '1 hour' WHERE id = {later}")
    live.start("worker", **moved(worker))
    sent = f"{mine} AND state = 'sent'"
    until(lambda: live.count("scheduling_message", sent) == 2, within=with_room(60), what=lambda: live.log("worker"))
    browser = live.sign_in()
    pages = [browser.get(path).status for path in ("/", "/board/", "/book/")]
    until(lambda: live.get("/health/ready").status == 200, within=with_room(60), what="ready, whatever the clocks say")
    until(
        lambda: live.count("audit_heartbeat", "name = 'worker' AND at > now() - interval '20 seconds'"),
        within=with_room(30),
        what="the worker's pulse in the database's time",
    )

    assert {answer.status for answer in answers} == {201}
    assert hold.status == 201
    assert {row[0] for row in offset} <= ({3, 4} if web == 2 else {-3, -4}), "the clocks were not apart"
    assert due == 3, "a mail waits because the web server's clock is ahead"
    assert pages == [200, 200, 200]
    assert live.ask(f"SELECT state FROM scheduling_message WHERE id = {later}") == [("due",)], "sent an hour early"
    assert live.python("manage.py", "verify_audit")
    assert live.orphans() == 0
