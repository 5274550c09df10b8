"""The benchmark itself, on a twentieth of its clinic: it builds, measures, and its answers are right."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.bench import booking, clinic, counting, measuring, pages, searching, serving
from tests.factories import transactional


@transactional
def test_the_bench_measures_right_answers_on_a_small_clinic() -> None:
    made = clinic.build("small", at=datetime.now(UTC).replace(second=0, microsecond=0))
    assert made.site.appointments.count() == made.size.past + made.size.ahead
    assert made.site.resources.count() == 50
    assert booking.overlaps() == 0
    lines = [
        *searching.lines(made),
        *pages.lines(made, rounds=3),
        *counting.lines(made),
        *booking.lines(made, rounds=1, count=10, turns=1),
        *serving.lines(made, count=8, turns=1),
    ]
    names = {one.name: one for one in lines}
    assert names["overlaps afterwards"].value == 0
    assert next(one for one in lines if one.name.startswith("control")).value > 0
    assert names["booking over HTTP: 5xx and deadlocks"].value == 0
    assert names["booking over HTTP, 8 clients"].value > 0
    assert all(one.ok for one in lines if one.name.startswith("statements"))
    assert all(one.queries is None or one.queries <= 8 for one in lines if one.name.startswith(("search", "board")))
    assert measuring.table(lines).count("\n") == len(lines)
    assert set(json.loads(measuring.as_json(lines))[0]) == {
        "name", "value", "unit", "reference", "ratio", "target", "queries", "ok",
    }  # fmt: skip
