"""The pages of several sessions together, and the same through the API."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pain_clinic.clock import days_in_words
from procedures.models import Procedure
from scheduling import series
from scheduling.models import Appointment, Course, PlannedSession, Series
from scheduling.series import FromCourse, Item, showing
from tests import factories
from tests.database.scheduling.courses.conftest import Ward
from tests.database.scheduling.courses.test_siblings import JOINT
from tests.factories import EVENING, NOW, TODAY

DAY = timedelta(days=1)
Enter = Callable[..., Client]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


def words(content: bytes) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content.decode())).split())


def text(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content[:400]
    return words(response.content)


def made(ward: Ward, count: int = 2) -> Series:
    esi = Procedure.objects.get(code="esi_tf_lumbar")
    return series.order(
        patient=ward.patient, site=ward.clinic.site, given=[Item(esi, "right", ("L4-L5",), count=count)], by=ward.doctor, at=NOW
    )


def address(name: str, row: Series, *args: object) -> str:
    return reverse(f"scheduling:{name}", args=[row.public_id, *args])


def body_of(course: Course | None = None, **values: object) -> dict[str, object]:
    return {**({f"course_{course.public_id}": 2} if course else {}), "request_key": "a-key-of-this-form", **values}


def test_a_physician_orders_the_next_steps_and_sees_their_dates(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("physician", ward.clinic.site)
    page = text(client, reverse("scheduling:course", args=[course.public_id]))
    assert "Several at once" in page
    order = reverse("scheduling:series_order", args=[ward.patient.public_id])
    assert "Medial branch block 1, block 2, ablation" in text(client, f"{order}?course={course.public_id}")
    answer = client.post(order, body_of(course))
    row = Series.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, address("series", row))
    assert client.post(order, body_of(course)).status_code == 303
    assert Series.objects.count() == 1
    page = text(client, address("series", row))
    assert "2 journeys" in page
    assert "Mon 21 Sep" in page
    assert "Book all 2 or none" in page
    Series.objects.update(created_at=EVENING)
    coming = text(client, reverse("scheduling:patient_upcoming", args=[ward.patient.public_id]))
    assert "Ordered together on Mon 14 Sep" in coming


def test_what_a_session_is_kept_apart_from_and_what_is_to_be_decided_stand_on_the_page(ward: Ward, signed_in: Enter) -> None:
    ward.start(JOINT, since=TODAY)
    other = TODAY + 14 * DAY
    PlannedSession.objects.filter(is_current=True).update(earliest=other, ideal=other, latest=other + 2 * DAY)
    row = made(ward)
    name = f"the proposed session of Sacroiliac diagnostic to therapeutic, left on {other}, not booked yet:"
    name = f"{name} 14 days must lie between."
    client = signed_in("desk", ward.clinic.site)
    shown = text(client, address("series", row))
    assert days_in_words(f"Kept apart from {name}") in shown
    assert ("to decide" in shown, "needs a reason" in shown) == (False, False)
    client.post(address("series_move", row, 1), {"on": (other + DAY).isoformat(), "version": series.read(row)[0].series.version})
    shown = text(client, address("series", row))
    assert shown.count("to decide") == 1
    assert days_in_words(f"Not kept apart from {name} To decide: book this one") in shown
    sent = client.get(f"/api/v1/series/{row.public_id}/").json()
    assert [(one["code"], one["severity"]) for one in sent["sessions"][0]["findings"] if one["severity"] == "info"] == [
        ("not_kept_apart", "info")
    ]  # fmt: skip


def test_an_order_without_anything_is_refused_in_words(ward: Ward, signed_in: Enter) -> None:
    client = signed_in("physician", ward.clinic.site)
    order = reverse("scheduling:series_order", args=[ward.patient.public_id])
    answer = client.post(order, body_of())
    assert answer.status_code == 422
    assert "Say what is to be done" in words(answer.content)
    esi = Procedure.objects.get(code="esi_tf_lumbar")
    answer = client.post(order, body_of(**{"item0-procedure": esi.pk, "item0-levels": "nonsense", "item0-side": "right"}))
    assert answer.status_code == 422
    answer = client.post(
        order, body_of(**{"item0-procedure": esi.pk, "item0-levels": "L4-L5", "item0-side": "right", "item0-count": 2,
                          "item0-least_days": 21})
    )  # fmt: skip
    assert answer.status_code == 303
    assert [one.least_days for one in series.read(Series.objects.get())] == [0, 21]


def test_a_session_names_the_one_that_it_truly_follows(ward: Ward, signed_in: Enter) -> None:
    row = made(ward, 3)
    client = signed_in("desk", ward.clinic.site)
    follows = [one.follows for one in showing.page(series=row, by=ward.desk, at=NOW).sessions]
    assert follows == ["", "at least 14 days after session 1", "at least 14 days after session 2"]

    client.post(address("series_skip", row, 2), {"skip": "1"})
    page = text(client, address("series", row))
    assert "at least 14 days after session 2" not in page  # nothing comes after what is left out
    assert page.count("at least 14 days after session 1") == 2  # the one left out, and the one after it

    client.post(address("series_skip", row, 1), {"skip": "1"})
    assert "days after session" not in text(client, address("series", row))


def test_the_desk_skips_moves_and_books_and_may_not_order(ward: Ward, signed_in: Enter) -> None:
    row = made(ward)
    client = signed_in("desk", ward.clinic.site)
    assert client.get(reverse("scheduling:series_order", args=[ward.patient.public_id])).status_code == 403
    assert client.post(address("series_withdraw", row)).status_code == 403
    assert client.post(address("series_skip", row, 2), {"skip": "1"}).status_code == 303
    assert "Take in again" in text(client, address("series", row))
    assert client.post(address("series_skip", row, 2), {"skip": "0"}).status_code == 303
    assert client.post(address("series_skip", row, 2), {"skip": "7"}).status_code == 422
    there = (TODAY + 21 * DAY).isoformat()
    assert client.post(address("series_move", row, 1), {"on": there}).status_code == 303
    assert "Mon 5 Oct" in text(client, address("series", row))
    refused = client.post(address("series_move", row, 1), {"on": (TODAY + 20 * DAY).isoformat()})
    assert (refused.status_code, "It cannot be on 4 Oct 2026" in words(refused.content)) == (422, True)
    assert client.post(address("series_move", row, 1), {"on": "x"}).status_code == 422
    stale = client.post(address("series_replan", row), {"version": 1})
    assert (stale.status_code, "Somebody changed this series" in words(stale.content)) == (409, True)
    assert client.post(address("series_replan", row)).status_code == 303
    body = {"how": "whole", "request_key": "a-key-of-this-form"}
    for _ in range(2):
        assert client.post(address("series_book", row), body).status_code == 303
    assert Appointment.objects.count() == 2
    assert client.post(address("series_book", row), {"how": "whole"}).status_code == 409
    assert client.post(address("series_book", row), {"how": "other"}).status_code == 422


def test_a_series_is_seen_at_its_own_site_only_and_by_those_who_see_courses(ward: Ward, signed_in: Enter) -> None:
    row = made(ward)
    stranger = signed_in("physician", factories.site())
    assert stranger.get(address("series", row)).status_code == 404
    assert stranger.post(address("series_book", row), {"how": "whole"}).status_code == 404
    assert signed_in("biller", ward.clinic.site).get(address("series", row)).status_code == 403
    page = text(signed_in("nurse", ward.clinic.site), address("series", row))
    assert "Book all" not in page
    assert "Move, and plan the rest" not in page


def test_the_page_asks_as_many_statements_for_one_session_as_for_three(ward: Ward, signed_in: Enter) -> None:
    client = signed_in("desk", ward.clinic.site)
    counts = []
    for count in (1, 3):
        row = made(ward, count)
        text(client, address("series", row))
        with CaptureQueriesContext(connection) as asked:
            text(client, address("series", row))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_a_withdrawn_order_says_so_and_offers_nothing(ward: Ward, signed_in: Enter) -> None:
    row = made(ward)
    client = signed_in("physician", ward.clinic.site)
    assert client.post(address("series_withdraw", row)).status_code == 303
    page = text(client, address("series", row))
    assert "This order was withdrawn" in page
    assert "Book all" not in page
    assert client.post(address("series_replan", row)).status_code == 409


# --- the API ---------------------------------------------------------------------------------------------------------


def send(client: Client, path: str, body: Any = None, *, method: str = "post", **headers: str) -> Any:
    return client.generic(
        method.upper(), f"/api/v1{path}", data="" if body is None else __import__("json").dumps(body, default=str),
        content_type="application/json", headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def test_the_api_orders_skips_moves_and_books(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("physician", ward.clinic.site)
    body = {
        "patient": ward.patient.public_id, "site": ward.clinic.site.public_id,
        "courses": [{"course": course.public_id, "count": 1}],
        "items": [{"procedure": "esi_tf_lumbar", "side": "left", "levels": ["L4-L5"], "count": 2, "is_after": False}],
    }  # fmt: skip
    answer = send(client, "/series/", body, Idempotency_Key="a-key-of-this-call")
    assert answer.status_code == 201, answer.content
    again = send(client, "/series/", body, Idempotency_Key="a-key-of-this-call")
    assert (again.content, Series.objects.count()) == (answer.content, 1)
    told = answer.json()
    assert [one["state"] for one in told["sessions"]] == ["proposed"] * 3
    assert told["sessions"][0]["course"] == str(course.public_id)
    path = f"/series/{told['id']}/"
    assert send(client, path, method="get").json() == told
    assert send(client, f"{path}skip/", {"session": 3}).status_code == 428
    assert send(client, f"{path}skip/", {"session": 3}, If_Match='"1"').status_code == 412
    skipped = send(client, f"{path}skip/", {"session": 3}, If_Match=answer["ETag"])
    assert [one["state"] for one in skipped.json()["sessions"]] == ["proposed", "proposed", "skipped"]
    on = (TODAY + 21 * DAY).isoformat()
    moved = send(client, f"{path}move/", {"session": 2, "on": on}, If_Match=skipped["ETag"])
    assert moved.json()["sessions"][1]["fixed_on"] == on
    replanned = send(client, f"{path}replan/", If_Match=moved["ETag"])
    booked = send(client, f"{path}book/", {"how": "whole"}, If_Match=replanned["ETag"])
    assert [one["state"] for one in booked.json()["sessions"]] == ["booked", "booked", "skipped"]
    assert Appointment.objects.count() == 2
    refused = send(client, f"{path}book/", {"how": "each"}, If_Match=booked["ETag"])
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_book")


def test_the_api_refuses_what_is_not_the_askers(ward: Ward, signed_in: Enter) -> None:
    course = ward.start(since=TODAY)
    client = signed_in("physician", ward.clinic.site)
    place = {"patient": ward.patient.public_id, "site": ward.clinic.site.public_id}
    assert send(client, "/series/", place).json()["code"] == "order_refused"
    strange = {**place, "courses": [{"course": uuid.uuid4(), "count": 1}]}
    assert send(client, "/series/", strange).status_code == 400
    row = series.order(patient=ward.patient, site=ward.clinic.site, given=[FromCourse(course, 1)], by=ward.doctor, at=NOW)
    stranger = signed_in("physician", factories.site())
    assert send(stranger, f"/series/{row.public_id}/", method="get").status_code == 404
    assert send(signed_in("desk", ward.clinic.site), "/series/", place).status_code == 403
