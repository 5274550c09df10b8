"""What a patient who will be sedated ate and drank last is written down on the day, and the rules say whether it is too soon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Forbidden, Refused
from procedures import tables
from procedures.models import RuleRow
from procedures.rules import Waiver
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import agenda, booking, rechecking, visits
from scheduling.booking import staging
from scheduling.models import Appointment, CaseDetails, Check, CheckItem, CheckMoment, RuleOverride, Status
from scheduling.visits import fasting
from scheduling.visits.fasting import IntakeStale
from tests import factories
from tests.factories import TODAY, SmallClinic, local

MINUTE = timedelta(minutes=1)
LIQUIDS, LIGHT, FATTY = "clear_liquids", "light_meal", "fatty_or_fried_meal_or_meat"
AT = local(TODAY, "10:15")
YES = {"fasting": ("yes", "")}


@pytest.fixture
def nurse(clinic: SmallClinic) -> Actor:
    load_rules(tables.read(), RuleReport())
    return Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))


def case_of(clinic: SmallClinic, *, sedation: str = "moderate", status: str = Status.ARRIVED) -> Appointment:
    return factories.appointment(
        of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, resources=clinic.resources, side="left",
        starts_at=local(TODAY, "10:30"), status=status, sedation=sedation,
    )  # fmt: skip


def record(case: Appointment, by: Actor, at: datetime = AT, **intake: datetime | None) -> tuple[str, ...]:
    """Write down an intake and return what stands against it."""
    visits.record_intake(appointment=case, intake=intake, by=by, at=at)
    return tuple(one.code for one in visits.fast_of(appointment=case, at=at).standing)


@pytest.mark.parametrize(("what", "hours"), [(LIQUIDS, 2), (LIGHT, 6), (FATTY, 8)])
def test_exactly_the_hours_of_the_table_are_enough_and_a_minute_less_is_not(
    clinic: SmallClinic, nurse: Actor, what: str, hours: int
) -> None:
    case = case_of(clinic)
    edge = local(TODAY, "10:30") - timedelta(hours=hours)
    assert record(case, nurse, **{what: edge}) == ()
    assert record(case, nurse, **{what: edge + MINUTE}) == (f"fasting_{what}",)
    (found,) = visits.fast_of(appointment=case, at=AT).standing
    assert found.earliest == datetime.combine(TODAY, time(10, 31))
    assert AuditEvent.objects.filter(act="scheduling.record_intake", subject_id=case.public_id).count() == 2


def test_every_kind_counts_and_the_one_that_takes_longest_decides(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    early, late = local(TODAY, "3:00"), local(TODAY, "4:00")
    assert record(case, nurse, **{FATTY: early, LIGHT: late}) == (f"fasting_{FATTY}",)
    assert record(case, nurse, **{FATTY: None}) == ()
    assert CaseDetails.objects.get().intake == {LIGHT: late.isoformat()}


def test_waiting_until_the_earliest_moment_is_enough_for_a_patient_in_the_house(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    assert record(case, nurse, **{LIQUIDS: local(TODAY, "9:00")}) == ("fasting_clear_liquids",)
    standing = [len(visits.fast_of(appointment=case, at=local(TODAY, clock)).standing) for clock in ("10:59", "11:00")]
    assert standing == [1, 0]


@pytest.mark.parametrize("sedation", ["none", "minimal"])
def test_who_stays_awake_is_not_asked(clinic: SmallClinic, nurse: Actor, sedation: str) -> None:
    case = case_of(clinic, sedation=sedation)
    assert record(case, nurse, **{LIQUIDS: AT}) == ()
    assert visits.checklist(case).open_items == tuple(CheckItem.values)
    with pytest.raises(Refused):
        visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)


def test_fasting_is_not_answered_with_yes_against_what_is_written_down(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    assert visits.checklist(case).open_items == (*CheckItem.values, "fasting")
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    assert "fasting" not in visits.checklist(case).open_items
    record(case, nurse, **{LIQUIDS: AT})
    assert "fasting" in visits.checklist(case).open_items  # what was said before is not true of this
    with pytest.raises(visits.FastTooShort, match="2 hours of fasting end at 2026-09-14 12:15"):
        visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    assert Check.objects.get().answer == "no"


def test_a_physician_may_go_on_with_a_reason_for_this_intake_and_no_other(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    record(case, nurse, **{LIQUIDS: local(TODAY, "9:00")})
    waiver = [Waiver("fasting_clear_liquids", "urgent", "A sip with a tablet.")]
    with pytest.raises(Refused):
        rechecking.waive(appointment=case, waivers=waiver, by=nurse, at=AT)
    rechecking.waive(appointment=case, waivers=waiver, by=physician, at=AT)
    fast = visits.fast_of(appointment=case, at=AT)
    assert ([one.code for one in fast.findings], fast.standing) == (["fasting_clear_liquids"], ())
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    assert record(case, nurse, **{LIQUIDS: local(TODAY, "9:05")}) == ("fasting_clear_liquids",)  # another intake, asked anew


@pytest.mark.parametrize(
    ("intake", "status", "problem"),
    [
        ({LIQUIDS: AT + MINUTE}, Status.ARRIVED, visits.IntakeUnusable),
        ({LIQUIDS: AT - timedelta(days=3, minutes=1)}, Status.ARRIVED, visits.IntakeUnusable),
        ({"soup": AT}, Status.ARRIVED, visits.IntakeUnusable),
        ({"chewing_gum": AT}, Status.ARRIVED, visits.IntakeUnusable),  # delays nothing
        ({LIQUIDS: AT}, Status.IN_ROOM, Refused),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    clinic: SmallClinic, nurse: Actor, intake: dict[str, Any], status: str, problem: type[Exception]
) -> None:
    with pytest.raises(problem):
        visits.record_intake(appointment=case_of(clinic, status=status), intake=intake, by=nurse, at=AT)
    assert not CaseDetails.objects.exists()


def test_only_who_answers_checklists_writes_it_down_and_twice_the_same_is_once(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    desk = Actor.of_user(factories.user(role="desk", sites=(clinic.site,)))
    with pytest.raises(Forbidden):
        visits.record_intake(appointment=case, intake={LIQUIDS: AT}, by=desk, at=AT)
    for _ in range(2):
        record(case, nurse, **{LIQUIDS: AT})
    assert AuditEvent.objects.filter(act="scheduling.record_intake").count() == 1


def test_page_asks_says_when_it_is_long_enough_and_keeps_the_times(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    stand_at(local(TODAY, "10:55"))
    case = case_of(clinic)
    url = f"/appointments/{case.public_id}/checklist/before/"
    client = signed_in("nurse", clinic.site)
    assert b"Last food and drink" in client.get(url).content
    typed = {f"intake_{LIQUIDS}": f"{TODAY}T09:00", "act": "all", "request_key": "a" * 32}
    refused = client.post(url, typed)
    assert refused.status_code == 422
    assert b"2 hours of fasting end at" in refused.content
    assert b"The times are written down" in refused.content
    assert CaseDetails.objects.get().intake == {LIQUIDS: local(TODAY, "9:00").isoformat()}
    shown = client.get(url).content.decode()
    assert f'value="{TODAY}T09:00"' in shown
    assert f"/appointments/{case.public_id}/rules/" in shown
    stand_at(local(TODAY, "11:00"))
    assert client.post(url, {**typed, "request_key": "b" * 32}).status_code in (302, 303)
    assert visits.checklist(case).open_items == ()
    bad = client.post(url, {**typed, f"intake_{LIQUIDS}": "noon", "request_key": "c" * 32})
    assert bad.status_code == 422
    Appointment.objects.filter(pk=case.pk).update(sedation="none")
    assert b"Last food and drink" not in client.get(url).content


def test_does_not_apply_is_no_way_round_what_is_written_down(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    away = {"fasting": ("na", "")}
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=away, by=nurse, at=AT)
    record(case, nurse, **{LIQUIDS: AT})
    assert "fasting" in visits.checklist(case).open_items
    with pytest.raises(visits.FastTooShort):
        visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=away, by=nurse, at=AT)


def test_what_somebody_else_wrote_down_meanwhile_is_not_taken_back_unseen(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    seen = visits.fast_of(appointment=case, at=AT).mark
    record(case, nurse, **{LIGHT: local(TODAY, "8:00")})
    with pytest.raises(IntakeStale):
        visits.record_intake(appointment=case, intake={LIGHT: None, LIQUIDS: AT}, shown=seen, by=nurse, at=AT)
    assert CaseDetails.objects.get().intake == {LIGHT: local(TODAY, "8:00").isoformat()}
    same = {LIGHT: local(TODAY, "8:00"), LIQUIDS: None}
    visits.record_intake(appointment=case, intake=same, shown=seen, by=nurse, at=AT)  # a form sent twice
    now = visits.fast_of(appointment=case, at=AT).mark
    visits.record_intake(appointment=case, intake={LIGHT: None}, shown=now, by=nurse, at=AT)
    assert CaseDetails.objects.get().intake == {}


def test_the_page_shows_what_somebody_else_wrote_down_and_keeps_what_was_typed(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    stand_at(AT)
    case = case_of(clinic)
    url = f"/appointments/{case.public_id}/checklist/before/"
    client = signed_in("nurse", clinic.site)
    seen = client.get(url).context["intake_shown"]
    record(case, nurse, **{LIGHT: local(TODAY, "8:00")})
    typed = {f"intake_{LIQUIDS}": f"{TODAY}T07:00", "act": "all", "intake_shown": seen, "request_key": "a" * 32}

    answer = client.post(url, typed)

    page = answer.content.decode()
    assert (answer.status_code, visits.checklist(case).answers) == (409, {})
    assert "14 Sep 08:00" in page
    assert f'value="{TODAY}T07:00"' in page
    again = {
        **typed,
        "intake_shown": answer.context["intake_shown"],
        f"intake_{LIGHT}": f"{TODAY}T04:00",
        "request_key": "b" * 32,
    }
    assert client.post(url, again).status_code in (302, 303)
    assert set(CaseDetails.objects.get().intake) == {LIGHT, LIQUIDS}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59", "0001-01-01T00:00", "2026-03-08T02:30"])
def test_a_time_that_cannot_be_is_refused_at_its_field(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None], moment: str
) -> None:
    stand_at(AT)
    url = f"/appointments/{case_of(clinic).public_id}/checklist/before/"
    answer = signed_in("nurse", clinic.site).post(url, {f"intake_{LIQUIDS}": moment, "request_key": "a" * 32})
    assert (answer.status_code, list(answer.context["fast"].errors)) == (422, [f"intake_{LIQUIDS}"])


@pytest.mark.parametrize(("day", "is_kept"), [(TODAY, True), (TODAY + timedelta(days=1), False)])
def test_what_was_asked_on_a_day_counts_on_that_day_alone(clinic: SmallClinic, nurse: Actor, day: date, is_kept: bool) -> None:
    case = case_of(clinic)
    record(case, nurse, **{FATTY: local(TODAY, "1:00")})
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    place = staging.old_place(case)
    booking.cancel(appointment=case, reason="clinic_equipment", asked_by="clinic", by=Actor.system("tests"), at=AT)

    there = replace(place, starts_at=local(day, "14:00"))
    booking.reinstate(appointment=Appointment.objects.get(pk=case.pk), opening=there, by=Actor.system("tests"), at=AT)

    assert bool(CaseDetails.objects.get().intake) == bool(visits.checklist(case).answers) == is_kept


def test_the_task_about_a_short_fast_leads_to_the_checklist_where_the_times_stand(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic, status=Status.BOOKED)
    record(case, nurse, **{LIQUIDS: local(TODAY, "9:00")})
    user = User.objects.get(pk=nurse.user_id)
    (row,) = agenda.tasks(user=user, at=AT, kind="rules", number="1", role="desk").rows
    case_url = f"/appointments/{case.public_id}"
    assert [way.value for way in row.ways] == [f"{case_url}/checklist/before/", f"{case_url}/rules/"]  # more stands than the fast


# --- into the room ---------------------------------------------------------------------------------------------------

EARLY = local(TODAY, "8:20")  # enough for 10:30 and from 10:20 on


def begin(case: Appointment, by: Actor, at: datetime, reason: str = "") -> Appointment:
    return visits.move_on(appointment=Appointment.objects.get(pk=case.pk), to=Status.IN_ROOM, by=by, at=at, reason=reason)


def test_who_goes_in_early_is_judged_for_that_moment(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    assert record(case, nurse, **{LIQUIDS: EARLY}) == ()
    with pytest.raises(visits.FastTooShort, match="2 hours of fasting end at 2026-09-14 10:20") as refusal:
        begin(case, nurse, local(TODAY, "10:20") - MINUTE)
    assert [one["code"] for one in refusal.value.details["findings"]] == ["fasting_clear_liquids"]
    with pytest.raises(visits.FastTooShort):
        begin(case, nurse, local(TODAY, "10:20") - MINUTE, "Ready now")  # a nurse may not override it
    assert begin(case, nurse, local(TODAY, "10:20")).status == Status.IN_ROOM
    assert not RuleOverride.objects.exists()


@pytest.mark.parametrize(("clock", "is_refused"), [("10:59", True), ("11:00", False)])
def test_who_goes_in_late_is_judged_for_that_moment_too(clinic: SmallClinic, nurse: Actor, clock: str, is_refused: bool) -> None:
    case = case_of(clinic)
    record(case, nurse, **{LIQUIDS: local(TODAY, "9:00")})
    if is_refused:
        with pytest.raises(visits.FastTooShort):
            begin(case, nurse, local(TODAY, clock))
    else:
        begin(case, nurse, local(TODAY, clock), "Not needed")
    assert not RuleOverride.objects.exists()


def test_who_stays_awake_or_said_nothing_goes_in_as_ever(clinic: SmallClinic, nurse: Actor) -> None:
    silent = case_of(clinic)
    assert begin(silent, nurse, AT).status == Status.IN_ROOM
    Appointment.objects.filter(pk=silent.pk).update(status=Status.ARRIVED, sedation="none")
    record(Appointment.objects.get(pk=silent.pk), nurse, **{LIQUIDS: AT})
    assert begin(silent, nurse, AT).status == Status.IN_ROOM


def test_a_physicians_reason_lets_the_patient_in_and_is_kept(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    case = case_of(clinic)
    record(case, nurse, **{LIQUIDS: EARLY})
    stand_at(AT)
    url = f"/appointments/{case.public_id}/status/"
    pressed = {"version": "1", "to": "in_room", "request_key": "a" * 32}
    refused = signed_in("nurse", clinic.site).post(url, pressed)
    assert (refused.status_code, refused.context["case"].refusal.code) == (422, "fast_too_short")
    assert [way.key for way in refused.context["case"].ways] == ["check"]
    doctor = signed_in("physician", clinic.site)
    ways = doctor.post(url, pressed).context["case"].ways
    assert [way.key for way in ways] == ["check", "start"]
    sent = {field.name: field.value for field in ways[1].fields} | {"reason": "A sip with a tablet."}
    assert doctor.post(url, sent).status_code == 303
    kept = RuleOverride.objects.get()
    assert (kept.code, kept.severity, kept.text, kept.ended_at) == ("fasting_clear_liquids", "deny", "A sip with a tablet.", None)
    event = AuditEvent.objects.get(act="scheduling.in_room", outcome="done")
    assert (event.reason_code, event.details) == ("clinical_judgement", {"version": 2, "overrides": 1})


def test_api_reads_and_takes_food_and_drink_and_refuses_what_was_not_seen(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    stand_at(AT)
    case = case_of(clinic)
    url = f"/api/v1/appointments/{case.public_id}/intake/"
    client = signed_in("nurse", clinic.site)

    def send(tag: str | None, **intake: str | None) -> Any:
        headers = {} if tag is None else {"If-Match": tag}
        return client.post(url, {"intake": intake}, content_type="application/json", headers=headers)

    first = client.get(url)
    assert first.json() == {"is_asked": True, "kinds": list(fasting.kinds()), "intake": {}, "findings": []}
    unseen = send(None, clear_liquids=f"{TODAY}T09:00:00-04:00")
    assert (unseen.status_code, unseen.json()["code"]) == (428, "version_missing")
    told = send(first["ETag"], clear_liquids=f"{TODAY}T13:00:00Z")
    assert told.status_code == 200
    assert [(one["code"], one["earliest"], one["is_waived"]) for one in told.json()["findings"]] == [
        ("fasting_clear_liquids", f"{TODAY}T11:00:00", False)
    ]
    stale = send(first["ETag"], light_meal=f"{TODAY}T03:00:00-04:00")
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    same = send(told["ETag"], clear_liquids=f"{TODAY}T09:00:00-04:00")  # the same moment, written otherwise
    assert (same.status_code, same["ETag"]) == (200, told["ETag"])
    assert AuditEvent.objects.filter(act="scheduling.record_intake").count() == 1
    wrong = send(told["ETag"], soup=f"{TODAY}T09:00:00Z")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "intake_unusable")
    assert send(told["ETag"], clear_liquids=None).json()["intake"] == {}
    assert signed_in("desk", clinic.site).get(url).status_code == 403
    assert signed_in("nurse", factories.site()).get(url).status_code == 404


def unread() -> None:
    """Make a row of the clinic's rules one that cannot be used."""
    row = RuleRow.objects.get(row_id="mcr_esi_cap")
    row.data = row.data | {"params": {"max_sessions": "four"}}
    row.save(update_fields=["data"])


def say_no(case: Appointment, by: Actor) -> None:
    no = {"fasting": ("no", "Tea")}
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=no, by=by, at=AT)


def test_a_clear_no_without_a_time_stops_the_room_until_it_is_answered_anew(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    say_no(case, nurse)
    with pytest.raises(visits.FastTooShort, match="did not fast as told") as refusal:
        begin(case, nurse, AT, "He says it was nothing")
    assert ([one.code for one in refusal.value.findings], refusal.value.code) == (["fasting_said_no"], "fast_too_short")
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    assert begin(case, nurse, AT).status == Status.IN_ROOM


def test_a_physicians_reason_lets_in_who_did_not_fast(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    say_no(case, nurse)
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    with pytest.raises(visits.FastTooShort):
        begin(case, physician, AT, " ")
    begin(case, physician, AT, "A sip with a tablet")
    kept = RuleOverride.objects.get()
    assert (kept.code, kept.severity, kept.text) == ("fasting_said_no", "deny", "A sip with a tablet")


def test_a_no_that_a_waived_time_explains_asks_for_no_second_reason(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    record(case, nurse, **{LIQUIDS: local(TODAY, "9:00")})
    say_no(case, nurse)
    waiver = [Waiver("fasting_clear_liquids", "urgent", "A sip with a tablet.")]
    rechecking.waive(appointment=case, waivers=waiver, by=physician, at=AT)
    assert begin(case, nurse, local(TODAY, "10:30")).status == Status.IN_ROOM


def test_rules_that_break_down_on_the_case_stop_the_room_and_say_so(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    case = case_of(clinic)
    CaseDetails.objects.create(appointment=case, intake={LIQUIDS: "after lunch"})
    stand_at(AT)
    url, api = f"/appointments/{case.public_id}/status/", f"/api/v1/appointments/{case.public_id}/status/"
    pressed = {"version": "1", "to": "in_room", "request_key": "a" * 32}
    refused = signed_in("nurse", clinic.site).post(url, pressed)
    assert (refused.status_code, refused.context["case"].refusal.code) == (422, "fast_not_judged")
    page = refused.content.decode()
    assert ("The rules could not be asked" in page, "a physician may go on, with a reason" in page) == (True, True)
    told = signed_in("nurse", clinic.site).post(api, {"to": "in_room"}, "application/json", headers={"If-Match": '"1"'})
    assert (told.status_code, told.json()["code"]) == (422, "fast_not_judged")
    doctor = signed_in("physician", clinic.site)
    ways = doctor.post(url, {**pressed, "reason": " "}).context["case"].ways
    sent = {field.name: field.value for field in ways[1].fields} | {"reason": "Fasted, I asked him."}
    assert doctor.post(url, sent).status_code == 303
    assert RuleOverride.objects.get().code == "fasting_not_judged"


def test_rules_that_cannot_be_read_stop_a_fast_that_is_written_down(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    record(case, nurse, **{LIQUIDS: AT})
    unread()
    with pytest.raises(visits.FastNotJudged, match="mcr_esi_cap"):
        begin(case, nurse, AT)
    with pytest.raises(visits.FastNotJudged):
        visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    physician = Actor.of_user(factories.user(role="physician", sites=(clinic.site,)))
    assert begin(case, physician, AT, "Looked by hand").status == Status.IN_ROOM


def test_rules_that_cannot_be_read_stop_who_was_not_asked_and_not_who_fasted(clinic: SmallClinic, nurse: Actor) -> None:
    case = case_of(clinic)
    unread()
    with pytest.raises(visits.FastNotJudged):
        begin(case, nurse, AT)
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    assert begin(case, nurse, AT).status == Status.IN_ROOM


def test_times_are_asked_and_kept_though_the_rules_cannot_be_asked(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    stand_at(AT)
    case = case_of(clinic)
    asked = fasting.kinds()
    visits.answer_checks(appointment=case, moment=CheckMoment.BEFORE, answers=YES, by=nurse, at=AT)
    unread()
    assert fasting.kinds() == asked
    url, client = f"/appointments/{case.public_id}/checklist/before/", signed_in("nurse", clinic.site)
    typed = {f"intake_{LIQUIDS}": f"{TODAY}T09:00", "act": "save", "request_key": "a" * 32}
    assert client.post(url, typed).status_code in (302, 303)
    assert CaseDetails.objects.get().intake == {LIQUIDS: local(TODAY, "9:00").isoformat()}
    assert Check.objects.get().answer == "yes"  # nobody knows better
    assert "Look by hand" in client.get(url).content.decode()


def test_times_are_kept_though_the_rules_break_down_on_the_case(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    stand_at(AT)
    case = case_of(clinic)
    CaseDetails.objects.create(appointment=case, intake={"broth": "after lunch"})
    url, client = f"/appointments/{case.public_id}/checklist/before/", signed_in("nurse", clinic.site)
    typed = {f"intake_{LIQUIDS}": f"{TODAY}T09:00", "act": "save", "request_key": "a" * 32}
    assert client.post(url, typed).status_code in (302, 303)
    assert CaseDetails.objects.get().intake[LIQUIDS] == local(TODAY, "9:00").isoformat()
    assert "The rules could not be asked" in client.get(url).content.decode()
    api = client.get(f"/api/v1/appointments/{case.public_id}/intake/").json()
    assert ([one["code"] for one in api["findings"]], list(api["intake"])) == (["fasting_not_judged"], [LIQUIDS])


def test_a_reason_typed_while_somebody_else_changed_the_case_is_still_there(
    clinic: SmallClinic, nurse: Actor, signed_in: Callable[..., Client], stand_at: Callable[[datetime], None]
) -> None:
    case = case_of(clinic)
    say_no(case, nurse)
    stand_at(AT)
    Appointment.objects.filter(pk=case.pk).update(version=2)
    sent = {"version": "1", "to": "in_room", "request_key": "a" * 32, "reason": "A sip with a tablet"}
    stale = signed_in("physician", clinic.site).post(f"/appointments/{case.public_id}/status/", sent)
    assert stale.status_code == 409
    fields = {field.name: field.value for field in stale.context["case"].ways[-1].fields}
    assert (fields["reason"], fields["version"]) == ("A sip with a tablet", "2")
