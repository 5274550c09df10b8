"""SIGTERM under load: everyone who asked is answered, every mail leaves once. TRUST O6."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.drills.live import LONGEST, Answer, Live, until
from tests.drills.starting import with_room

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]
CLIENTS = 8


def test_web_told_to_stop_answers_all_who_asked_and_is_gone_within_thirty_seconds(live: Live) -> None:
    stopping = threading.Event()  # a load balancer sends nobody any more once it has told the server to stop

    def client(number: int) -> list[Answer]:
        answers = []
        while not stopping.is_set() and len(answers) < 500:
            answers.append(live.book(timeout=40) if number % 2 else live.get("/sign-in/", timeout=40))
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client, number) for number in range(CLIENTS)]
        time.sleep(3)
        stopping.set()
        took = live.end("web", within=30)
        answers = [answer for each in running for answer in each.result()]
    failed = [answer for answer in answers if answer.status not in {200, 201}]

    assert len(answers) > CLIENTS
    assert failed == [], f"{len(failed)} of {len(answers)} failed"
    assert took < 30
    assert live.count("scheduling_appointment") == live.count("audit_auditevent", "act = 'scheduling.book' AND outcome = 'done'")
    assert live.orphans() == 0


def test_web_begins_anew_under_load_without_a_failed_request(live: Live) -> None:
    done = threading.Event()

    def client() -> list[Answer]:
        answers = []
        while not done.is_set() and len(answers) < 500:
            answers.append(live.get("/sign-in/", timeout=40))
        return answers

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(client) for _ in range(4)]
        time.sleep(1)
        before = live.workers()
        live.child("web").process.send_signal(1)  # SIGHUP: new workers come, the old ones go when they have answered
        until(lambda: len(now := live.workers()) == 2 and not now & before, within=with_room(30), what="other workers serve")
        done.set()
        answers = [answer for each in running for answer in each.result()]

    assert [answer for answer in answers if answer.status != 200] == []


def test_worker_told_to_stop_in_the_middle_of_a_sweep_loses_no_mail_and_sends_none_twice(live: Live) -> None:
    live.end("worker")
    note = "mails over a stop"
    for _ in range(30):
        assert live.book(live.wanted(note=note)).status == 201
    mine = f"kind = 'confirmation' AND appointment_id IN (SELECT id FROM scheduling_appointment WHERE note = '{note}')"
    assert live.count("scheduling_message", f"{mine} AND state = 'due'") == 30
    live.start("worker")
    until(lambda: live.count("scheduling_message", f"{mine} AND state = 'sent'") > 3, within=with_room(40), what="some are sent")
    took = live.end("worker", within=30)
    sent = live.count("scheduling_message", f"{mine} AND state = 'sent'")
    live.start("worker")
    until(lambda: live.count("scheduling_message", f"{mine} AND state = 'sent'") == 30, within=with_room(60), what="all are sent")

    assert took < 30
    assert sent >= 3
    ids = {str(row[0]) for row in live.ask(f"SELECT public_id FROM scheduling_message WHERE {mine}")}
    found = [
        name for mail in live.mailbox.glob("*.eml") for name in re.findall(r"(?im)^Message-ID:\s*<([^@>]+)@", mail.read_text())
    ]
    assert sorted(one for one in found if one in ids) == sorted(ids)
