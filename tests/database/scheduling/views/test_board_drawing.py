"""What the board draws beside cases: closed days, hours of one day, absences, blocks, holds, and who is left out."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from procedures.levels import regions_in_words
from procedures.rules import Waiver
from scheduling import agenda, booking, free_time, holds, openings
from scheduling.agenda import story
from scheduling.booking import Target
from scheduling.models import Absence, Appointment, Block, BlockTime, Closure, DatedHours, DeskTask, Message, Resource
from tests import factories
from tests.database.scheduling.views.conftest import People, opening
from tests.factories import NEW_YORK, NOW, TODAY, TOMORROW, SmallClinic, local


def board(people: People, query: str = "") -> Any:
    return people.owner.get(f"/board/?day={TOMORROW}&{query}").context["board"]


def bands(shown: Any, number: int = 0) -> list[tuple[str, int, int, str, str]]:
    return [(one.kind, one.slot, one.span, one.label, one.category) for one in shown.columns[number].bands]


def test_a_closed_day_says_why_and_still_shows_who_was_booked(clinic: SmallClinic, people: People, case: Appointment) -> None:
    Closure.objects.create(site=clinic.site, date=TOMORROW, name="Inventory")

    shown = board(people)

    assert shown.empty == f"{clinic.site.name} is closed on this day: Inventory."
    [column] = shown.columns
    assert (column.note, column.load, [bar.public_id for bar in column.bars]) == ("no hours here today", -1, [case.public_id])
    [row] = board(people, "view=week").rows
    assert [(cell.note, cell.is_closed) for cell in row.cells][:3] == [("", False), ("Inventory", True), ("", False)]


def test_an_empty_list_says_so(people: People) -> None:
    assert board(people, "view=list").empty == "Nothing is booked on this day."


def test_hours_of_one_day_stand_in_the_place_of_the_weeks(clinic: SmallClinic, people: People) -> None:
    DatedHours.objects.create(
        resource=clinic.physician, site=clinic.site, date=TOMORROW, starts=time(10), ends=time(12), reason="Course"
    )
    shown = board(people)
    assert (shown.first_slot, shown.slot_count, bands(shown)) == (120, 24, [])
    usual = people.owner.get(f"/board/?day={TOMORROW + timedelta(days=1)}").context["board"]
    assert (usual.first_slot, usual.slot_count) == (96, 108)


@pytest.mark.parametrize(
    ("kind", "starts", "ends", "note", "band"),
    [
        ("leave", "0:00", "23:00", "leave", ("leave", 0, 108, "leave", "")),
        ("meeting", "8:00", "9:00", "", ("leave", 0, 12, "meeting", "")),
        ("out_of_service", "16:00", "17:00", "", ("out_of_service", 96, 12, "out of service", "")),
    ],
)
def test_an_absence_is_drawn_and_named_when_it_takes_the_whole_day(
    clinic: SmallClinic, people: People, kind: str, starts: str, ends: str, note: str, band: tuple[str, int, int, str, str]
) -> None:
    Absence.objects.create(resource=clinic.physician, kind=kind, starts_at=local(TOMORROW, starts), ends_at=local(TOMORROW, ends))
    shown = board(people)
    assert (shown.columns[0].note, shown.columns[0].load) == (note, -1 if note else 0)
    assert bands(shown) == [band]


@pytest.mark.parametrize(("family", "hue"), [("esi", "epidural"), ("facet_rfa", "ablation"), ("pns", "other")])
def test_a_block_has_its_owner_and_the_colour_of_its_family(clinic: SmallClinic, people: People, family: str, hue: str) -> None:
    for starts, owner in (("8:00", clinic.physician), ("10:00", None)):
        block = Block.objects.create(
            resource=clinic.room, site=clinic.site, name="Kept", weekday=TOMORROW.weekday(), starts=time(8), ends=time(12),
            valid_from=TOMORROW, physician=owner, family=family, release_days=0,
        )  # fmt: skip
        BlockTime.objects.create(
            block=block, resource=clinic.room, site=clinic.site, starts_at=local(TOMORROW, starts),
            ends_at=local(TOMORROW, starts) + timedelta(hours=1), releases_at=NOW + timedelta(hours=1),
        )  # fmt: skip
    assert bands(board(people, "by=room")) == [("block", 0, 12, "Kept, Dr. Adler", hue), ("block", 24, 12, "Kept", hue)]


def test_held_time_is_drawn_until_the_hold_ends(clinic: SmallClinic, people: People, by: Actor) -> None:
    held = holds.hold(procedure=clinic.procedure, target=Target(side="left"), opening=opening(clinic), by=by, at=NOW)
    assert bands(board(people)) == [("hold", 12, 6, "held", "")]
    holds.release(hold=held, by=by, at=NOW)
    assert bands(board(people)) == []


def test_a_week_shows_what_is_no_longer_in_use_only_where_a_case_has_it(
    clinic: SmallClinic, people: People, case: Appointment
) -> None:
    factories.resource(kind="room", at_site=clinic.site, name="Store")
    Resource.objects.filter(kind="room").update(is_active=False)
    assert [(row.name, row.note) for row in board(people, "view=week&by=room").rows] == [("Room 1", "no longer in use")]


def test_a_week_counts_the_cases_that_stand(clinic: SmallClinic, people: People, case: Appointment) -> None:
    factories.appointment(of=clinic.patient, at_site=clinic.site, status="cancelled")
    counts = {day.day: day.count for day in board(people, "view=week").week_days}
    assert (counts[TODAY], counts[TOMORROW]) == (0, 1)


# --- home and lists ----------------------------------------------------------------------------------------------------


def home(user: User, by: Actor, clinic: SmallClinic) -> Any:
    return agenda.home(user=user, by=by, at=NOW, sites=(clinic.site,))


def test_home_counts_no_tasks_for_who_may_not_work_them(clinic: SmallClinic, desk: User, by: Actor) -> None:
    labels = [count.label for count in home(desk, by, clinic).counts]
    fewer = [
        count.label for count in home(desk, replace(by, permissions=by.permissions - {"scheduling.work_tasks"}), clinic).counts
    ]
    assert set(labels) - set(fewer) == {"To do by telephone", "Cases wait for, by tomorrow"}


def test_home_of_a_physician_shows_the_cases_that_are_theirs(clinic: SmallClinic) -> None:
    doctor = factories.user(role="physician", sites=(clinic.site,))
    Resource.objects.filter(pk=clinic.physician.pk).update(user=doctor)
    doctor.refresh_from_db()
    for hour, units in (("9:00", [clinic.physician]), ("10:30", [clinic.room])):
        factories.appointment(
            of=factories.patient(home=clinic.site), at_site=clinic.site, starts_at=local(TODAY, hour), resources=units
        )
    shown = home(doctor, Actor.of_user(doctor), clinic)
    assert (shown.next_title, [line.where for line in shown.next_cases]) == ("Your next cases today", ["Dr. Adler"])


@pytest.mark.parametrize(
    ("minutes", "told"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (47 * 60 + 59, "47 h"), (48 * 60, "2 days")]
)
def test_a_task_says_how_long_it_has_been_open(clinic: SmallClinic, desk: User, minutes: int, told: str) -> None:
    DeskTask.objects.create(
        kind="no_email", patient=clinic.patient, site=clinic.site, opened_at=NOW - timedelta(minutes=minutes),
        due_at=NOW + timedelta(days=9),
    )  # fmt: skip
    page = agenda.tasks(user=desk, at=NOW, kind="", number="1")
    assert [row.age for row in page.rows] == [told]


def test_findings_show_overrides_with_their_case_and_refusals_without_one(
    clinic: SmallClinic, people: People, book: Callable[..., Appointment], by: Actor
) -> None:
    Block.objects.create(
        resource=clinic.room, site=clinic.site, name="Kept", weekday=TOMORROW.weekday(), starts=time(8), ends=time(12),
        valid_from=TOMORROW - timedelta(days=30), family="pns", release_days=0,
    )  # fmt: skip
    free_time.expand_blocks(at=NOW)
    key = Block.objects.get().pk
    book(waivers=[Waiver(f"in_block:{key}", "urgent", "Agreed.")])
    rows = people.owner.get(f"/findings/?from={TODAY}&to={TOMORROW}").context["page"].rows
    assert [(row.outcome, row.code, row.patient) for row in rows] == [("override", f"in_block:{key}", "Vera M. 1958")]


# --- a case ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "acts"),
    [("booked", []), ("arrived", ["check"]), ("in_room", ["check"]), ("recovery", ["leave"]), ("discharged", ["leave"])],
)
def test_a_nurse_is_offered_the_checklist_that_the_moment_asks_for(
    clinic: SmallClinic, status: str, acts: list[str], signed_in: Callable[..., Any]
) -> None:
    case = factories.appointment(of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, status=status)
    shown = signed_in("nurse", clinic.site).get(f"/appointments/{case.public_id}/").context["case"]
    assert [act.key for act in shown.acts if act.key in ("check", "leave")] == acts


def test_the_story_names_the_people_and_rooms_that_were_exchanged(
    clinic: SmallClinic, people: People, case: Appointment, by: Actor
) -> None:
    second = factories.resource(kind="room", at_site=clinic.site, name="Room 2")
    factories.weekly_hours(of=second)
    free_time.rebuild(at=NOW)
    later = clock.now()
    other = openings.fit(
        procedure=clinic.procedure, starts_at=local(TOMORROW, "11:00"), site=clinic.site, at=later, units=[second.pk]
    ).opening
    assert other is not None
    booking.reschedule(appointment=case, opening=other, by=by, at=later)
    shown = people.owner.get(f"/appointments/{case.public_id}/").context["case"]
    assert [(one.field, one.old, one.new) for one in shown.story[0].changes] == [("Room", "Room 1", "Room 2")]


def test_what_was_done_meanwhile_is_told_in_the_words_of_the_page() -> None:
    told = dict.fromkeys(story.TOLD, "") | {"starts_at": NOW, "ends_at": NOW, "levels": [], "regions": []}
    context = uuid.uuid4()
    rows = [
        SimpleNamespace(**told, pgh_context_id=None),
        SimpleNamespace(**told | {"regions": ["lumbar", "sacral"], "levels": ["L4-L5", "L5-S1"]}, pgh_context_id=context),
    ]
    event = AuditEvent(
        at=NOW, act="scheduling.move", actor_name="importer", outcome="done", details={"version": 2}, context_id=context
    )
    [line] = story.meanwhile(events=[event], history=rows, version=1, zone=NEW_YORK)
    assert (line.who, line.act) == ("importer", "moved")
    assert [(one.field, one.new) for one in line.changes] == [
        ("Levels", "L4-L5, L5-S1"),
        ("Where", regions_in_words(["lumbar", "sacral"])),
    ]


@pytest.mark.parametrize(
    ("attempts", "state", "told"),
    [
        (0, "due", ""),
        (1, "sent", "1"),
        (2, "failed", "2"),
        (2, "sent", "2; if one of the earlier ones did arrive, the patient has two copies with the same Message-ID"),
    ],
)
def test_a_message_says_how_often_it_was_tried(
    clinic: SmallClinic, people: People, case: Appointment, attempts: int, state: str, told: str
) -> None:
    row = Message.objects.filter(appointment=case).order_by("pk")[0]
    done = None if state == "due" else NOW
    Message.objects.filter(pk=row.pk).update(attempts=attempts, state=state, done_at=done)
    facts = {pair.label: pair.value for pair in people.owner.get(f"/messages/{row.public_id}/").context["mail"].facts}
    assert facts.get("Tries", "") == told


def test_a_bar_marks_who_has_died_and_whose_name_is_anothers(clinic: SmallClinic, people: People, case: Appointment) -> None:
    factories.patient(home=clinic.site)  # of the same name
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(deceased_on=TODAY, language="es")
    [bar] = board(people).columns[0].bars
    assert [flag.kind for flag in bar.flags] == ["deceased", "same_name", "interpreter"]
