"""Sixty-four clients on one slot, through the real web server. TRUST C1."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.drills.live import FULL, LONGEST, Answer, Live

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(LONGEST)]
CLIENTS = 64
ROUNDS = 16 if FULL else 1  # 1,024 shots at full size
OVERLAPS = """
SELECT count(*) FROM scheduling_allocation a JOIN scheduling_allocation b
  ON a.resource_id = b.resource_id AND a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
 WHERE a.released_at IS NULL AND b.released_at IS NULL
"""


def test_sixty_four_clients_on_one_slot_get_one_booking_and_sixty_three_plain_conflicts(live: Live) -> None:
    seconds: list[float] = []
    began = time.monotonic()
    for _ in range(ROUNDS):
        body = live.whole_hour()  # whoever has another case on this day would be asked about that, and not refused for the slot
        everybody = threading.Barrier(CLIENTS)

        def shoot(patient: str, body: dict[str, object] = body, everybody: threading.Barrier = everybody) -> Answer:
            everybody.wait(60)
            return live.book({**body, "patient": patient}, timeout=120)

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(shoot, live.clinic["patients"][:CLIENTS]))
        codes = Counter(answer.status for answer in answers)
        assert codes == {201: 1, 409: CLIENTS - 1}, [answer for answer in answers if answer.status not in {201, 409}] or codes
        words = {answer.json["code"] for answer in answers if answer.status == 409}
        assert "slot_taken" in words
        assert words <= {"slot_taken", "busy"}  # who waited two seconds in the line, on a machine that stood still
        seconds += [answer.seconds for answer in answers]
    took = time.monotonic() - began
    seconds.sort()
    p50, p95 = (seconds[int(len(seconds) * part)] for part in (0.5, 0.95))
    print(f"{len(seconds)} shots, {len(seconds) / took:.0f} a second; waiting in line included p50 {p50:.2f} s, p95 {p95:.2f} s")

    assert live.ask(OVERLAPS) == [(0,)]
    assert live.orphans() == 0
