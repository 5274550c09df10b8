"""What the history of a patient shows of cases and messages: each once, at one's own sites, as far as one may see it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients import history, records
from patients.history import Asked, HistoryPage
from patients.history.shapes import Entry
from patients.models import PerformedProcedure
from scheduling.models import Appointment, Link, Message
from tests import factories
from tests.factories import NOW, SmallClinic

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _clock(settings: Any, tmp_path: Path) -> None:
    moved = tmp_path / "clock"
    moved.write_text(str((NOW - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(moved)


@pytest.fixture
def physician(clinic: SmallClinic) -> User:
    return factories.user(role="physician", sites=(clinic.site,))


def case(clinic: SmallClinic, days: int, **values: Any) -> Appointment:
    """Return a case so many days from now."""
    given = {"side": "left", "levels": ["L4-L5"], "resources": [clinic.physician], **values}
    return factories.appointment(
        of=clinic.patient, at_site=given.pop("at_site", clinic.site), for_procedure=clinic.procedure,
        starts_at=NOW + days * DAY, **given,
    )  # fmt: skip


def message(of: Appointment, days: int, *, answer: str = "", **values: Any) -> Message:
    """Return a message about a case, sent so many days before it."""
    sent = of.starts_at - days * DAY
    given = {"kind": "reminder", "state": "sent", "step": f"s{days}", "version": 1, "due_at": sent, "created_at": sent, **values}
    row = Message.objects.create(appointment=of, patient=of.patient, done_at=sent, **given)
    if answer:
        Link.objects.create(
            digest=Link.digest_of(Link.make_secret()), purpose="visit", message=row, appointment=of, patient=of.patient,
            version=1, calendar_sequence=0, created_at=sent, answer=answer, answered_at=sent,
        )  # fmt: skip
    return row


def opened(clinic: SmallClinic, user: User, *, without: str = "", **asked: Any) -> HistoryPage:
    by = Actor.of_user(user)
    by = dataclasses.replace(by, permissions=by.permissions - {without})
    return history.open_history(patient=clinic.patient, user=user, by=by, today=NOW.date(), asked=Asked(**asked))


def lines(page: HistoryPage) -> list[tuple[str, str, str]]:
    return [(one.kind, one.title, one.more) for one in page.timeline.entries]


def test_cases_to_come_stand_first_with_who_and_where(clinic: SmallClinic, physician: User) -> None:
    later, sooner = case(clinic, 9, status="confirmed"), case(clinic, 2)

    page = opened(clinic, physician)

    assert [one.url for one in page.beyond.coming] == [f"/appointments/{each.public_id}/" for each in (sooner, later)]
    first: Entry = page.timeline.entries[0]
    assert (first.kind, first.on, first.status, first.url) == (
        "visits", later.local_date, "confirmed", f"/appointments/{later.public_id}/",
    )  # fmt: skip
    assert first.title == f"{clinic.procedure.short_name} L4-L5 left"
    assert first.more == f"{later.local_time:%H:%M}, {clinic.physician.short_name}, {clinic.site.name}"


def test_a_case_is_told_once_by_what_was_performed_in_it(clinic: SmallClinic, physician: User) -> None:
    done, silent = case(clinic, -9, status="discharged"), case(clinic, -5, status="discharged")
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": done.local_date, "appointment": done.public_id}
    kept = records.record(
        kind=PerformedProcedure, patient=clinic.patient, values=values, by=Actor.of_user(physician), at=NOW
    )  # fmt: skip

    assert [(one.kind, one.url) for one in opened(clinic, physician).timeline.entries] == [
        ("visits", f"/appointments/{silent.public_id}/"),
        ("procedures", f"/performed/{kept.public_id}/"),
    ]
    records.mark_in_error(row=kept, reason="Other patient", by=Actor.of_user(physician), at=NOW)
    assert [one.kind for one in opened(clinic, physician).timeline.entries] == ["visits", "visits"]


@pytest.mark.parametrize(("values", "why"), [
    ({"status": "cancelled", "cancel_reason": "transport", "is_late": True}, "by the patient, late, No driver or transport"),
    ({"status": "no_show"}, ""), ({"status": "discharged"}, "nothing recorded of what was done"),
])  # fmt: skip
def test_a_case_that_came_to_nothing_says_why(clinic: SmallClinic, physician: User, values: dict[str, Any], why: str) -> None:
    case(clinic, -3, **values)

    (entry,) = opened(clinic, physician, what="visits").timeline.entries

    assert (entry.status, entry.more) == (values["status"], why)


def test_a_place_keeps_the_cases_there(clinic: SmallClinic, physician: User) -> None:
    case(clinic, 3, levels=["L5-S1"])
    case(clinic, 4, side="bilateral")

    assert [one.title for one in opened(clinic, physician, place="L4-L5", side="left").timeline.entries] == [
        f"{clinic.procedure.short_name} L4-L5 bilateral"
    ]


def test_messages_about_one_visit_are_one_line_among_everything_and_each_its_own_by_filter(
    clinic: SmallClinic, physician: User
) -> None:
    row = case(clinic, -1, status="no_show")
    message(row, 9, kind="confirmation", step="")
    message(row, 3, answer="confirmed")
    message(row, 1, state="failed", reason="address_refused")
    message(row, 2, state="due")
    message(row, 4, state="withdrawn")
    message(row, 5, state="skipped", reason="too_late")
    visit = f"the visit of {row.local_date.day} Sep {row.local_date.year}"

    everything = [one for one in opened(clinic, physician).timeline.entries if one.kind == "messages"]
    each = opened(clinic, physician, what="messages").timeline.entries

    assert [(one.title, one.more, one.is_bad) for one in everything] == [
        (f"3 messages about {visit}", "2 sent, 1 failed; answered: will come", True)
    ]
    assert [(one.title, one.more, one.is_bad) for one in each] == [
        ("Reminder failed", f"about {visit}, The e-mail address does not exist or takes no mail", True),
        ("Reminder sent", f"about {visit}, answered: will come", False),
        ("Reminder not sent", f"about {visit}, Too close to the arrival", False),
        ("Confirmation sent", f"about {visit}", False),
    ]


def test_a_single_message_stands_as_itself(clinic: SmallClinic, physician: User) -> None:
    message(case(clinic, 5), 9)

    assert [one[1] for one in lines(opened(clinic, physician)) if one[0] == "messages"] == ["Reminder sent"]


def test_cases_and_messages_of_other_sites_are_not_told(clinic: SmallClinic, physician: User) -> None:
    message(case(clinic, 5, at_site=factories.site(), resources=[]), 9)

    page = opened(clinic, physician)

    assert (page.timeline.entries, page.beyond.coming) == ((), ())


@pytest.mark.parametrize(("without", "kind", "tab"), [
    ("scheduling.view_appointment", "visits", "Visits"), ("scheduling.read_patient_messages", "messages", "Messages"),
])  # fmt: skip
def test_who_may_not_see_them_gets_neither_lines_nor_the_filter(
    clinic: SmallClinic, physician: User, without: str, kind: str, tab: str
) -> None:
    message(case(clinic, 5), 9)

    seen, unseen = opened(clinic, physician), opened(clinic, physician, without=without)

    assert (kind in {one.kind for one in seen.timeline.entries}, tab in {one.label for one in seen.timeline.tabs}) == (True, True)
    assert (kind in {one.kind for one in unseen.timeline.entries}, tab in {one.label for one in unseen.timeline.tabs}) == (
        False, False,
    )  # fmt: skip


def test_a_clinic_without_a_teller_still_has_its_history(clinic: SmallClinic, physician: User, settings: Any) -> None:
    settings.HISTORY_TELLER = ""
    case(clinic, 5)

    page = opened(clinic, physician)

    assert (page.timeline.entries, page.beyond.coming, page.beyond.plans) == ((), (), None)
