"""The list of messages: a line of time around now, each message once however many pages there are, and few statements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pain_clinic.accounts.models import User
from scheduling.agenda import outbox
from scheduling.models import Appointment, Link, LinkPurpose, Message, MessageState
from tests import factories
from tests.database.scheduling.views.conftest import People
from tests.factories import NOW, SmallClinic

HOUR = timedelta(hours=1)


def message(case: Appointment, hours: float, state: str = "sent", **values: Any) -> Message:
    """Return a message that left, or will leave, so many hours from now."""
    at = NOW + hours * HOUR
    number = Message.objects.count()
    return Message.objects.create(
        appointment=case, patient=case.patient, version=1, created_at=NOW - 100 * HOUR, state=state,
        due_at=at if state == "due" else NOW - 99 * HOUR, done_at=None if state == "due" else at,
        **{"kind": "reminder", "step": f"step-{number}", **values},
    )  # fmt: skip


@pytest.fixture
def empty(clinic: SmallClinic) -> Appointment:
    """Return a case without any message."""
    return factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure)


def shown(people: People, query: str = "") -> Any:
    return people.owner.get(f"/messages/{query}").context["page"]


def keys(page: Any) -> list[Any]:
    return [line.public_id for line in page.messages]


def test_all_messages_stand_around_now_the_nearest_to_come_above_what_is_past(empty: Appointment, people: People) -> None:
    tomorrow, soon = message(empty, 24, "due"), message(empty, 1, "due")
    yesterday, before = message(empty, -24), message(empty, -1, "failed")
    page = shown(people)
    assert [(group.title, [line.public_id for line in group.lines]) for group in page.groups] == [
        ("Still to come", [tomorrow.public_id, soon.public_id]), ("Until now", [before.public_id, yesterday.public_id]),
    ]  # fmt: skip
    assert (page.above, page.below) == (None, None)


def test_what_is_due_begins_with_the_most_late_and_what_was_sent_with_the_newest(empty: Appointment, people: People) -> None:
    late, soon, later = (message(empty, hours, "due") for hours in (-2, 1, 30))
    old, new = message(empty, -30), message(empty, -3)
    assert keys(shown(people, "?state=due")) == [late.public_id, soon.public_id, later.public_id]
    assert keys(shown(people, "?state=sent")) == [new.public_id, old.public_id]


@pytest.mark.parametrize("state", ["", "due", "sent"])
def test_every_message_is_found_once_down_the_pages_and_up_again(
    empty: Appointment, people: People, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(outbox, "PER_PAGE", 7)
    monkeypatch.setattr(outbox, "AHEAD", 2)
    for number in range(12):  # three share each instant
        message(empty, 1 + number // 3, "due")
        message(empty, -1 - number // 3, "sent")
    page = shown(people, f"?state={state}")
    pages = [page]
    while page.above and len(pages) < 9:
        page = people.owner.get(page.above.url).context["page"]
        pages.insert(0, page)
    first, last = pages[0], pages[-1]
    while last.below and len(pages) < 9:
        last = people.owner.get(last.below.url).context["page"]
        pages.append(last)
    found = [key for each in pages for key in keys(each)]
    rows = Message.objects.filter(**({"state": state} if state else {})).annotate(when=outbox.WHEN)
    order = ("when", "public_id") if state == MessageState.DUE else ("-when", "-public_id")
    assert found == list(rows.order_by(*order).values_list("public_id", flat=True))
    assert (first.above, last.below) == (None, None)
    assert len(pages) > 1
    up = people.owner.get(last.above.url).context["page"]
    assert keys(up)[-1] == found[len(found) - len(last.messages) - 1]


@pytest.mark.parametrize("query", ["?above=x", "?below=20260914T110000000000-no", "?below=-", "?above=99999999T000000000000-0"])
def test_place_that_is_none_shows_the_first_page(empty: Appointment, people: People, query: str) -> None:
    message(empty, -1)
    assert len(shown(people, query).messages) == 1


def test_line_says_what_was_answered_and_when(empty: Appointment, people: People) -> None:
    asked = message(empty, -1)
    message(empty, -2)
    values = {"purpose": LinkPurpose.VISIT, "message": asked, "appointment": empty, "patient": empty.patient, "version": 1}
    Link.objects.create(
        **values, digest="a" * 64, calendar_sequence=0, created_at=NOW, answer="confirmed", answered_at=NOW - HOUR / 2
    )
    [line] = shown(people, "?state=answered").messages
    assert (line.public_id, line.answers) == (asked.public_id, ("Will come, Mon 14 Sep 6:30",))


def test_lines_of_sites_in_different_zones_say_their_zone(empty: Appointment, people: People, desk: User) -> None:
    message(empty, -1)
    [line] = shown(people).messages
    assert line.zone == ""
    west = factories.site(time_zone="America/Chicago")
    desk.sites.add(west)
    message(factories.appointment(at_site=west, starts_at=empty.starts_at + 9 * HOUR), -2)
    assert [(line.at.hour, line.zone) for line in shown(people).messages] == [(6, "EDT"), (4, "CDT")]


def test_messages_of_another_site_are_not_on_the_line(empty: Appointment, people: People) -> None:
    message(empty, -1)
    message(empty, 1, "due")
    assert people.stranger.get("/messages/").context["page"].messages == ()


def test_list_takes_the_same_statements_for_one_message_and_for_three(empty: Appointment, people: People) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(people)
        return len(captured)

    message(empty, -1)
    count()  # a session's first page asks more
    one = count()
    for hours in (-2, 3, 4):
        message(empty, hours)
    assert count() == one
