"""The report as page and as file: who opens it, what they see, in how many statements."""

from __future__ import annotations

import csv
import io
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from patients.reports import By
from tests import factories
from tests.database.patients.reports.making import Enter, World, report
from tests.factories import SmallClinic


@pytest.mark.usefixtures("that_day")
def test_the_page_shows_table_curve_and_words(world: World, clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("manager", clinic.site)
    told = client.get(reverse("patients:outcomes"), {"by": "procedure"})

    assert told.status_code == 200
    assert "Epidural" in client.get(reverse("patients:outcomes")).content.decode()
    text = told.content.decode()
    for name in ("Kind 0", "Kind 1", "Kind 2", "still open", "Wilson", "Kaplan-Meier", "curve-line"):
        assert name in text
    assert "Person1" not in text
    assert AuditEvent.objects.filter(act="patients.read_outcomes").count() == 2


@pytest.mark.usefixtures("that_day")
def test_the_file_says_what_the_report_says(world: World, clinic: SmallClinic, manager: User, signed_in: Enter) -> None:
    client = signed_in("physician", clinic.site)
    told = client.get(reverse("patients:outcomes_csv"), {"by": "physician"})
    rows = list(csv.DictReader(io.StringIO(told.content.decode("utf-8-sig"))))
    found = report(clinic, manager, By.PHYSICIAN)

    assert told["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="outcomes-physician-2025-09-2026-08.csv"', told["Content-Disposition"])
    assert [row["group"] for row in rows] == [*(one.code for one in found.groups), ""]
    for row, one in zip(rows, [*(each.figures for each in found.groups), found.total], strict=True):
        assert one is not None
        assert one.half is not None
        assert one.half.value is not None
        assert (int(row["sessions"]), float(row["responders_50_value"])) == (one.sessions, round(one.half.value, 4))
    event = AuditEvent.objects.filter(act="patients.read_outcomes").order_by("pk").first()
    assert event is not None
    assert (event.details["as"], event.details["count"]) == ("csv", 2)


@pytest.mark.parametrize(
    ("role", "status"),
    [("desk", 403), ("nurse", 403), ("biller", 403), ("auditor", 403), ("admin", 403), ("physician", 200), ("manager", 200)],
)
def test_physicians_and_managers_open_it(role: str, status: int, clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in(role, clinic.site)

    assert client.get(reverse("patients:outcomes")).status_code == status
    assert client.get(reverse("patients:outcomes_csv")).status_code == status


def test_a_colleague_of_another_site_sees_nothing_of_it(world: World, signed_in: Enter) -> None:
    text = signed_in("manager", factories.site()).get(reverse("patients:outcomes")).content.decode()

    assert "too few sessions" in text
    assert "Kind 0" not in text


@pytest.mark.parametrize("asked", [{"by": "name"}, {"years": "4"}, {"years": "x"}, {"procedure": "a b"}, {"procedure": "rare"}])
def test_what_cannot_be_asked_is_refused(asked: dict[str, str], clinic: SmallClinic, signed_in: Enter) -> None:
    client = signed_in("manager", clinic.site)

    assert client.get(reverse("patients:outcomes"), asked).status_code == 422
    assert client.get(reverse("patients:outcomes_csv"), asked).status_code == 422


def test_the_report_asks_the_database_as_often_for_few_as_for_many(clinic: SmallClinic, manager: User) -> None:
    world = World(clinic, seed=6)
    asked = []
    report(clinic, manager)
    for count in (1, 60):
        world.add(count)
        with CaptureQueriesContext(connection) as queries:
            report(clinic, manager, By.PAYER, 5)
        asked.append(len(queries))

    assert asked[0] == asked[1] <= 4


@pytest.mark.usefixtures("that_day")
def test_nothing_in_it_is_a_formula(clinic: SmallClinic, manager: User, signed_in: Enter) -> None:
    world = World(clinic, seed=8)
    world.add(60, physician="=1+1")
    text = (
        signed_in("manager", clinic.site).get(reverse("patients:outcomes_csv"), {"by": "physician"}).content.decode("utf-8-sig")
    )

    assert "\r\n'=1+1,'=1+1,2025-09-01,2026-08-31,60," in text
