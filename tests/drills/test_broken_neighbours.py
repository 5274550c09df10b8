"""Redis, mail server and database cut, stalled, reset and killed under a living clinic. TRUST D1 to D7."""

from __future__ import annotations

import contextlib
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.drills.lines import Line
from tests.drills.live import LONGEST, Live, until
from tests.drills.starting import with_room

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]


def books_within(live: Live, seconds: float, count: int = 6) -> None:
    for _ in range(count):
        answer = live.book()
        assert answer.status == 201, answer
        assert answer.seconds < with_room(seconds), f"a booking took {answer.seconds:.2f} s"


def is_whole(live: Live) -> bool:
    return live.book().status == 201 and live.get("/health/ready").status == 200


# --- D1 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["cut", "stall"])
def test_without_redis_bookings_pages_and_sign_in_go_on_and_mails_leave_once_it_is_back(live: Live, how: str) -> None:
    getattr(live.redis, how)()
    books_within(live, 1)
    browser = live.sign_in()
    pages = {path: browser.get(path) for path in ("/", "/board/", "/book/", "/patients/")}
    ready = live.get("/health/ready")
    late = live.book(live.wanted(note=f"redis {how}"))
    let_in = live.sign_in(f"desk-{how}").get("/")
    for _ in range(10):  # a limit that fails safe goes on counting
        live.sign_in(f"desk-{how}", "not the password")
    locked = live.sign_in(f"desk-{how}").get("/")
    live.redis.mend()

    assert {path: answer.status for path, answer in pages.items()} == dict.fromkeys(pages, 200)
    assert max(answer.seconds for answer in pages.values()) < with_room(2)
    assert (ready.status, ready.json["checks"]["broker"]) == (503, "unreachable")
    assert late.status == 201
    assert let_in.status == 200
    assert locked.status != 200, "ten wrong passwords, and the right one lets in"
    mine = f"kind = 'confirmation' AND appointment_id IN (SELECT id FROM scheduling_appointment WHERE note = 'redis {how}')"
    until(
        lambda: live.count("scheduling_message", f"{mine} AND state = 'sent'") == 1,
        within=with_room(90),
        what="the worker takes tasks again",
    )
    until(lambda: live.get("/health/ready").status == 200, within=with_room(60), what="ready again")


# --- D2 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["cut", "stall"])
def test_without_a_mail_server_bookings_go_on_and_no_message_is_given_up(live: Live, how: str) -> None:
    getattr(live.mail, how)()
    note = f"mail {how}"
    for _ in range(6):
        answer = live.book(live.wanted(note=note))
        assert answer.status == 201, answer
        assert answer.seconds < with_room(1), f"a booking took {answer.seconds:.2f} s"
    mine = f"kind = 'confirmation' AND appointment_id IN (SELECT id FROM scheduling_appointment WHERE note = '{note}')"
    until(
        # Of any message: a sweep stops at the first one, which may be another drill's.
        lambda: live.count("scheduling_message", "state = 'due' AND reason = 'server_unreachable'") > 0,
        within=with_room(40),
        what="the worker has tried and said why",
    )
    assert live.count("scheduling_message", f"{mine} AND state = 'due'") == 6
    live.mail.mend()
    live.ask(f"UPDATE scheduling_message SET due_at = now() WHERE {mine} AND state = 'due'")  # the pause would be 30 s
    until(lambda: live.count("scheduling_message", f"{mine} AND state = 'sent'") == 6, within=with_room(60), what="all are sent")


# --- D3 --------------------------------------------------------------------------------------------------------------
def test_without_the_database_every_request_is_503_at_once_and_nothing_is_half_booked(live: Live) -> None:
    browser = live.sign_in()
    live.database.cut()
    key = uuid.uuid4().hex
    body = live.wanted(note=key)
    answers = [
        live.book(body, key=key),
        *(browser.get(path) for path in ("/", "/board/", "/patients/")),
        live.book(body, key=key),
    ]
    alive, ready = live.get("/health/live"), live.get("/health/ready")
    live.database.mend()

    for answer in answers:
        assert (answer.status, answer.headers.get("retry-after")) == (503, "5"), answer
        assert answer.seconds < with_room(6)
        assert b"Traceback" not in answer.body
    assert (alive.status, ready.status, ready.json["checks"]["database"]) == (200, 503, "unreachable")
    assert live.of_key(key) == (0, 0, 0, 0)
    assert until(lambda: is_whole(live), within=with_room(15), what="whole again without a restart") < with_room(15)
    assert live.book(body, key=key).status == 201
    assert live.of_key(key) == (1, 1, 1, 2)
    assert live.orphans() == 0


# --- D4 --------------------------------------------------------------------------------------------------------------
def test_a_stalled_database_holds_no_request_longer_than_fifteen_seconds(live: Live) -> None:
    books_within(live, 5, 4)  # both workers have a connection
    live.database.stall()
    key = uuid.uuid4().hex
    body = live.wanted(note=key)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(live.book, body, key=key)
        time.sleep(1)
        alive = live.get("/health/live")
        answer = stuck.result()
    again = live.book(body, key=key)
    live.database.mend()

    assert alive.status == 200
    assert alive.seconds < with_room(1)
    for one in (answer, again):
        assert one.status in {0, 503}, one  # 0: the worker was ended, and with it the connection
        assert one.seconds < with_room(15)
    assert until(lambda: is_whole(live), within=with_room(15), what="whole again without a restart") < with_room(15)
    assert live.book(body, key=key).status == 201
    assert live.of_key(key) == (1, 1, 1, 2)
    assert live.orphans() == 0


# --- D5 --------------------------------------------------------------------------------------------------------------
def test_after_every_connection_was_reset_at_most_one_answer_of_each_worker_is_bad(live: Live) -> None:
    books_within(live, 5, 4)
    live.database.reset()
    bad = [answer for answer in (live.book() for _ in range(12)) if answer.status != 201]

    assert len(bad) <= 2, bad
    assert {answer.status for answer in bad} <= {503}
    assert live.orphans() == 0


# --- D6 --------------------------------------------------------------------------------------------------------------
def test_an_answer_lost_on_its_way_to_the_client_is_the_same_when_asked_for_again(live: Live) -> None:
    key = uuid.uuid4().hex
    body = live.wanted(note=key)
    front = Line(("127.0.0.1", live.port))
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(front.cut)
        front.lose_answer_to(b"POST ")
        first = live.book(body, key=key, port=front.port)
        assert front.lost.wait(10)  # said a moment after the client has seen the end
        second = live.book(body, key=key, port=front.port)
        third = live.book(body, key=key, port=front.port)

    assert (first.status, second.status, third.status) == (0, 201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert second.body == third.body
    assert live.of_key(key) == (1, 1, 1, 2)


def test_a_commit_whose_answer_is_lost_is_told_as_an_outage_and_books_once_when_asked_again(live: Live) -> None:
    key = uuid.uuid4().hex
    body = live.wanted(note=key)
    live.end("worker")  # its commits go through the same line
    live.end("beat")
    live.database.lose_answer_to(b"COMMIT\0")
    first = live.book(body, key=key)
    assert live.database.lost.is_set()
    was_kept = live.of_key(key)
    second = live.book(body, key=key)

    assert first.status == 503
    assert was_kept == (1, 1, 1, 2)
    assert (second.status, second.headers["idempotency-replayed"]) == (201, "true")
    assert live.of_key(key) == (1, 1, 1, 2)


# --- D7 --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["backend terminated", "line reset"])
def test_a_transaction_torn_in_the_middle_leaves_nothing_of_a_booking(live: Live, how: str) -> None:
    key = uuid.uuid4().hex
    body = live.wanted(note=key)
    with contextlib.closing(live.link()) as holder, holder.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        holder.autocommit = False
        cursor.execute("LOCK TABLE audit_auditevent IN EXCLUSIVE MODE")  # case, units and message are written, the event waits
        booking = pool.submit(live.book, body, key=key)
        waiting = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND query LIKE '%INSERT INTO \"audit_auditevent\"%'"
        )
        until(lambda: live.ask(waiting, as_app=True), within=with_room(10), what="the booking waits in its middle")
        if how == "line reset":
            live.database.reset()
        else:
            live.ask(waiting.replace("SELECT pid", "SELECT pg_terminate_backend(pid)"), as_app=True)
        answer = booking.result()
        holder.rollback()

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert live.of_key(key) == (0, 0, 0, 0)
    assert live.count("accounts_requestkey", f"key = '{key}'") == 0
    assert live.book(body, key=key).status == 201
    assert live.of_key(key) == (1, 1, 1, 2)
    assert live.orphans() == 0
