"""The pages behind links: looking never acts, a press acts on what was shown and on nothing else. TRUST L1, L3-L10."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from icalendar import Calendar

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.logs import masked
from patients import records
from patients.models import Coverage, Medication
from procedures import tables
from procedures.models import Procedure, RuleRow
from scheduling import answers, booking, clearing, links, openings
from scheduling.answers import offering
from scheduling.assessing import covering, wish_of
from scheduling.models import Allocation, Appointment, DeskTask, Link, LinkPurpose, Message, Status, TaskKind, Wording
from tests import factories
from tests.factories import NOW, SmallClinic, local

IN_A_WEEK = date(2026, 9, 21)


@pytest.fixture(autouse=True)
def _forget() -> None:
    cache.clear()


@pytest.fixture
def visit(clinic: SmallClinic, by: Actor) -> Appointment:
    """Return a case in a week, at 9:00 in New York, of a patient with an address."""
    clinic.site.phone, clinic.site.address = "+1 518 555 0100", "1 Elm Street, Albany"
    clinic.site.save()
    clinic.patient.email = "vera@example.org"
    clinic.patient.save()
    place = openings.fit(
        procedure=clinic.procedure, starts_at=local(IN_A_WEEK, "9:00"), site=clinic.site, at=NOW, patient=clinic.patient
    ).opening
    assert place is not None
    return booking.book(
        patient=clinic.patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=place, by=by, at=NOW
    )


@dataclass
class Phone:
    """A patient's browser: opens the link, presses what the page shows."""

    address: str
    client: Client = field(default_factory=Client)
    page: str = ""

    @property
    def secret(self) -> str:
        return self.address.rstrip("/").rpartition("/")[2]

    def get(self, path: str = "", **query: str) -> HttpResponse:
        answer: Any = self.client.get(f"/l/{self.secret}/{path}", query)
        self.page = answer.content.decode() if "text/html" in answer["Content-Type"] else ""
        return answer  # type: ignore[no-any-return]

    def press(self, act: str, path: str = "", **more: str) -> HttpResponse:
        mark = re.findall(r'name="shown" value="([^"]+)"', self.page)
        answer: Any = self.client.post(
            f"/l/{self.secret}/{path}", {"act": act, **({"shown": mark[0]} if mark else {}), **more}, follow=True
        )
        self.page = answer.content.decode()
        return answer  # type: ignore[no-any-return]


def phone_for(case: Appointment, purpose: str = LinkPurpose.VISIT) -> Phone:
    message = Message.objects.filter(appointment=case).order_by("pk")[0]
    message.appointment = case
    return Phone(links.issue(message=message, purpose=purpose, at=NOW))


@pytest.fixture
def phone(visit: Appointment) -> Phone:
    return phone_for(visit)


def state(case: Appointment) -> tuple[str, int]:
    now = Appointment.objects.get(pk=case.pk)
    return now.status, now.version


def everything() -> list[Any]:
    """Return all that an answer could change."""
    return [
        list(model.objects.order_by("pk").values())  # type: ignore[attr-defined]
        for model in (Appointment, Allocation, Message, DeskTask, Link, AuditEvent)
    ]


PATHS = ("", "cancel/", "another-time/", "visit.ics", "plan/")
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0) SafeLinks",
    "Barracuda Sentinel (EE)",
    "Proofpoint URL Defense",
    "Mozilla/5.0 (compatible; Googlebot/2.1)",
    "python-requests/2.32",
    "Slackbot-LinkExpanding 1.0",
    "",
)


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_in_any_way_changes_nothing(visit: Appointment, method: str) -> None:
    phones = [phone_for(visit), phone_for(visit, LinkPurpose.UNSUBSCRIBE), phone_for(visit, LinkPurpose.SCORE)]
    before = everything()
    for phone in phones:
        for path in PATHS:
            for agent in AGENTS:
                answer = getattr(phone.client, method)(
                    f"/l/{phone.secret}/{path}?confirm=1&act=confirm&List-Unsubscribe=One-Click", headers={"user-agent": agent}
                )
                assert answer.status_code in {200, 204, 404}
    assert everything() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(visit: Appointment, phone: Phone, method: str) -> None:
    before = everything()
    answer = getattr(phone.client, method)(f"/l/{phone.secret}/", headers={"x-http-method-override": "POST"})
    assert answer.status_code == 405
    assert everything() == before


def test_page_says_time_and_place_and_nobodys_name(visit: Appointment, phone: Phone) -> None:
    answer = phone.get()
    assert answer.status_code == 200
    for said in (
        "Monday 21 September",
        "8:45 a.m.",
        "1 Elm Street",
        "+1 518 555 0100",
        "Yes, I will come",
        '<html lang="en">',
    ):
        assert said in phone.page
    for kept in ("Vera", "Marlow", "1958", visit.procedure.name, visit.procedure.short_name, "Adler", "pain", "Pain", "epidural"):
        assert kept not in phone.page, kept


def test_confirming_takes_one_press_and_a_second_says_it_is_known(visit: Appointment, phone: Phone) -> None:
    phone.get()
    answer = phone.press("confirm")
    assert answer.status_code == 200
    assert "Thank you. We expect you." in phone.page
    assert state(visit) == ("confirmed", 2)
    told = AuditEvent.objects.get(act="scheduling.confirm")
    assert (told.actor_kind, told.patient_id) == ("patient", visit.patient.public_id)


def test_second_press_of_the_same_page_changes_nothing_and_is_fine(visit: Appointment, phone: Phone) -> None:
    phone.get()
    first = phone.page
    phone.press("confirm")
    phone.page = first
    answer = phone.press("confirm")
    assert (answer.status_code, state(visit)) == (200, ("confirmed", 2))
    assert "already told us" in phone.page
    assert AuditEvent.objects.filter(act="scheduling.confirm").count() == 1


def test_other_device_with_another_link_to_the_same_visit_is_told_too(visit: Appointment, phone: Phone) -> None:
    other = phone_for(visit)
    phone.get()
    other.get()
    phone.press("confirm")
    assert other.press("confirm").status_code == 200
    assert "already told us" in other.page
    assert state(visit) == ("confirmed", 2)


def moved(case: Appointment, by: Actor, clock: str = "11:00") -> Appointment:
    fresh = Appointment.objects.select_related("patient", "procedure", "site").get(pk=case.pk)
    place = openings.fit(
        procedure=fresh.procedure, starts_at=local(IN_A_WEEK, clock), site=fresh.site, at=NOW, moving=fresh, patient=fresh.patient
    ).opening
    assert place is not None
    return booking.reschedule(appointment=fresh, opening=place, by=by, at=NOW)


def test_press_on_a_page_from_before_a_move_does_nothing_and_shows_the_new_time(
    visit: Appointment, phone: Phone, by: Actor
) -> None:
    phone.get()
    moved(visit, by)
    answer = phone.press("confirm")
    assert answer.status_code == 409
    assert state(visit) == ("booked", 2)
    for said in ("10:45 a.m.", "Your visit has changed in the meantime", "Yes, I will come"):
        assert said in phone.page
    assert phone.press("confirm").status_code == 200  # asked again, at the time that is shown now
    assert state(visit) == ("confirmed", 3)


def test_old_link_opened_after_a_move_says_that_the_time_changed(visit: Appointment, phone: Phone, by: Actor) -> None:
    moved(visit, by)
    assert phone.get().status_code == 200
    assert "The time has changed since we wrote you" in phone.page
    assert "10:45 a.m." in phone.page
    assert "8:45 a.m." not in phone.page


def test_confirmed_elsewhere_at_another_time_is_not_taken_for_the_shown_one(visit: Appointment, phone: Phone, by: Actor) -> None:
    phone.get()
    booking.confirm(appointment=moved(visit, by), by=by, at=NOW)
    assert phone.press("confirm").status_code == 409
    assert "10:45 a.m." in phone.page
    assert state(visit) == ("confirmed", 3)


def test_cancelling_asks_once_more_and_can_be_taken_back(visit: Appointment, phone: Phone) -> None:
    phone.get()
    assert "act=cancel" not in phone.page
    assert 'value="cancel"' not in phone.page
    phone.get("cancel/")
    assert phone.press("cancel").status_code == 200
    case = Appointment.objects.get()
    assert (case.status, case.cancel_reason, case.asked_by, case.is_late) == ("cancelled", "patient_wish", "patient", False)
    assert not Allocation.objects.filter(appointment=case, released_at=None).exists()
    assert "Take the cancellation back" in phone.page
    assert phone.press("take_back").status_code == 200
    assert "Your visit stands again" in phone.page
    assert state(visit) == ("booked", 3)
    assert Allocation.objects.filter(appointment=case, released_at=None).exists()


def test_cancelling_twice_is_fine(visit: Appointment, phone: Phone) -> None:
    phone.get("cancel/")
    page = phone.page
    phone.press("cancel")
    phone.page = page
    assert phone.press("cancel").status_code == 200
    assert state(visit) == ("cancelled", 2)


def test_cancellation_by_the_desk_cannot_be_taken_back_by_link(visit: Appointment, phone: Phone, by: Actor) -> None:
    booking.cancel(appointment=visit, reason="patient_wish", asked_by="patient", by=by, at=NOW)
    phone.get()
    assert "Take the cancellation back" not in phone.page
    assert phone.press("take_back").status_code == 409
    assert state(visit) == ("cancelled", 2)


@pytest.mark.parametrize(("minutes", "offered"), [(9, True), (10, False)])
def test_taking_back_ends_after_ten_minutes(
    visit: Appointment, phone: Phone, settings: Any, tmp_path: Path, minutes: int, offered: bool
) -> None:
    phone.get("cancel/")
    phone.press("cancel")
    page = phone.page
    turn_clock(settings, tmp_path, Appointment.objects.get().cancelled_at + timedelta(minutes=minutes))  # type: ignore[operator]
    phone.get()
    assert ("Take the cancellation back" in phone.page) is offered
    phone.page = page
    answer = phone.press("take_back")
    assert (answer.status_code, state(visit)[0]) == ((200, "booked") if offered else (409, "cancelled"))
    if not offered:
        assert "+1 518 555 0100" in phone.page


def test_taken_place_cannot_be_taken_back(visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor) -> None:
    phone.get("cancel/")
    phone.press("cancel")
    other = factories.patient(home=clinic.site, last_name="Other")
    booking.book(
        patient=other, procedure=clinic.procedure, target=booking.Target(side="left"), by=by, at=NOW,
        opening=openings.fit(procedure=clinic.procedure, starts_at=visit.starts_at, site=clinic.site, at=NOW).opening,  # type: ignore[arg-type]
    )  # fmt: skip
    assert phone.press("take_back").status_code == 409
    assert "We cannot take this back here any more" in phone.page
    assert "Please call us" in phone.page
    assert state(visit) == ("cancelled", 2)


def test_confirm_in_an_older_mail_of_a_cancelled_visit_is_told_so(visit: Appointment, phone: Phone, by: Actor) -> None:
    phone.get()
    booking.cancel(appointment=visit, reason="clinic_staff", asked_by="clinic", by=by, at=NOW)
    assert phone.press("confirm").status_code == 409
    for said in ("is cancelled", "+1 518 555 0100", "please call us"):
        assert said in phone.page
    assert phone.get().status_code == 200
    assert "Yes, I will come" not in phone.page
    assert state(visit) == ("cancelled", 2)


def turn_clock(settings: Any, tmp_path: Path, to: datetime) -> None:
    path = tmp_path / "turned"
    path.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")
    settings.CLINIC_CLOCK = str(path)


def bad_links(visit: Appointment, settings: Any, tmp_path: Path) -> dict[str, tuple[int, bytes]]:
    """Return status and page of every kind of bad link."""
    good, revoked, stranger = phone_for(visit), phone_for(visit), phone_for(visit).secret
    Link.objects.filter(digest=Link.digest_of(revoked.secret)).update(revoked_at=NOW)
    told = {}
    tries = {
        "flipped": ("A" if stranger[0] != "A" else "B") + stranger[1:] + "/",
        "cut": stranger[:-2] + "/",
        "long": stranger * 60 + "/",
        "nul": stranger[:5] + "%00" + stranger[6:] + "/",
        "broken": "%ff%fe/",
        "nothing": "",
        "deeper": f"{stranger}/confirm/now/",
        "revoked": revoked.secret + "/",
    }
    for name, path in tries.items():
        answer = Client().get(f"/l/{path}")
        told[name] = (answer.status_code, answer.content)
    turn_clock(settings, tmp_path, visit.leaves_at)
    told["after the visit"] = ((answer := good.get()).status_code, answer.content)
    return told


def test_every_bad_link_gets_the_same_page_without_a_name(visit: Appointment, settings: Any, tmp_path: Path) -> None:
    told = bad_links(visit, settings, tmp_path)
    assert {name: status for name, (status, _page) in told.items()} == {
        "flipped": 404, "cut": 404, "long": 404, "nul": 404, "broken": 404, "nothing": 404, "deeper": 404,
        "revoked": 410, "after the visit": 410,
    }  # fmt: skip
    pages = {page for _status, page in told.values()}
    assert len(pages) == 1
    page = pages.pop().decode()
    assert "This link is no longer good" in page
    assert "Este enlace ya no sirve" in page
    for kept in ("Vera", "Marlow", visit.site.name, "Elm", "Pain Clinic"):
        assert kept not in page


def test_link_opens_only_the_visit_of_its_own_patient(visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor) -> None:
    other = factories.appointment(
        of=factories.patient(home=clinic.site), at_site=clinic.site, starts_at=local(IN_A_WEEK, "14:00")
    )
    Message.objects.create(appointment=other, patient=other.patient, kind="confirmation", version=1, due_at=NOW, created_at=NOW)
    stranger = phone_for(other)
    stranger.get()
    phone.page = stranger.page  # the mark of another visit's page
    assert phone.press("confirm").status_code == 409
    assert [case.status for case in Appointment.objects.order_by("pk")] == ["booked", "booked"]


@pytest.mark.parametrize("path", ["cancel/", "another-time/", "visit.ics", "plan/"])
@pytest.mark.parametrize("purpose", [LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE])
def test_link_of_one_purpose_opens_no_page_of_another(visit: Appointment, purpose: str, path: str) -> None:
    assert phone_for(visit, purpose).get(path).status_code == 404


@pytest.mark.parametrize("act", ["confirm", "cancel", "take_back", "move", "call"])
@pytest.mark.parametrize("purpose", [LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE])
def test_link_of_one_purpose_does_nothing_else(visit: Appointment, purpose: str, act: str) -> None:
    asker, reader = phone_for(visit, purpose), phone_for(visit)
    reader.get()
    asker.page = reader.page
    asker.press(act)
    assert state(visit) == ("booked", 1)
    assert DeskTask.objects.count() == 0


def test_press_without_the_pages_mark_does_nothing(visit: Appointment, phone: Phone) -> None:
    for shown in ("", "1", "AAAA:BBBB:CCCC"):
        assert phone.client.post(f"/l/{phone.secret}/", {"act": "confirm", "shown": shown}).status_code == 409
    assert state(visit) == ("booked", 1)


def test_unknown_act_is_refused(visit: Appointment, phone: Phone) -> None:
    phone.get()
    assert phone.press("discharge").status_code == 422
    assert state(visit) == ("booked", 1)


# --- another time ------------------------------------------------------------------------------------------------------


def offered(page: str) -> list[str]:
    return re.findall(r'name="offer" value="([^"]+)"', page)


def test_three_other_times_are_offered_and_the_chosen_one_is_taken(visit: Appointment, phone: Phone) -> None:
    before = everything()
    phone.get("another-time/")
    assert everything() == before
    tokens = offered(phone.page)
    assert len(tokens) == len(set(tokens)) == 3
    assert phone.press("move", offer=tokens[1]).status_code == 200
    assert "Your visit has a new time" in phone.page
    case = Appointment.objects.get()
    assert (case.status, case.version, case.starts_at) == ("booked", 2, local(date(2026, 9, 16), "12:00"))
    assert Message.objects.filter(appointment=case, state="due").exclude(kind="cancellation").count() == 1
    event = AuditEvent.objects.get(act="scheduling.move")
    assert (event.actor_kind, event.reason_code) == ("patient", "patient_link")
    assert Link.objects.get(digest=Link.digest_of(phone.secret)).answer == "moved"


def test_what_lies_next_to_the_present_time_is_no_other_time(
    visit: Appointment, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(*clocks: str) -> list[Any]:
        return [replace(found, starts_at=local(IN_A_WEEK, clock)) for clock in clocks]

    [found] = openings.find_openings(procedure=visit.procedure, at=NOW, earliest=NOW + answers.NOTICE, limit=1).openings
    monkeypatch.setattr(offering, "_is_allowed", lambda *_: True)
    monkeypatch.setattr(offering, "_free", lambda *_: [free("7:05", "9:00", "10:55"), free("11:00")])
    assert [each.starts_at for each in answers.offers(appointment=visit, by=by, at=NOW)] == [local(IN_A_WEEK, "11:00")]
    monkeypatch.setattr(offering, "_free", lambda *_: [free("7:00"), free("8:55")])
    assert [each.starts_at for each in answers.offers(appointment=visit, by=by, at=NOW)] == [local(IN_A_WEEK, "7:00")]


def test_offered_time_that_was_taken_meanwhile_is_refused_with_fresh_ones(
    visit: Appointment, phone: Phone, clinic: SmallClinic, by: Actor
) -> None:
    phone.get("another-time/")
    token = offered(phone.page)[0]
    first = openings.find_openings(procedure=clinic.procedure, at=NOW, earliest=NOW + answers.NOTICE, limit=1).openings[0]
    other = factories.patient(home=clinic.site, last_name="Other")
    booking.book(patient=other, procedure=clinic.procedure, target=booking.Target(side="left"), opening=first, by=by, at=NOW)
    answer = phone.press("move", offer=token)
    assert answer.status_code == 409
    assert "Somebody has just taken that time" in phone.page
    assert len(offered(phone.page)) == 3
    assert token not in phone.page
    assert state(visit) == ("booked", 1)


def test_time_that_was_not_offered_cannot_be_asked_for(visit: Appointment, phone: Phone) -> None:
    other = phone_for(visit)
    other.get("another-time/")
    phone.get()
    for token in ("", "x", offered(other.page)[0]):  # another link's offer
        assert phone.press("move", offer=token).status_code == 409
    assert state(visit) == ("booked", 1)


def test_nothing_is_offered_that_a_rule_refuses(visit: Appointment, phone: Phone, clinic: SmallClinic) -> None:
    clinic.physician.privileges.update(valid_until=date(2026, 9, 15))
    phone.get("another-time/")
    assert len(offered(phone.page)) <= 1
    assert "Please call me" in phone.page


def test_only_covered_times_are_offered_however_far_ahead_they_begin(
    visit: Appointment, phone: Phone, clinic: SmallClinic
) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    taken = Medication.objects.create(
        patient=clinic.patient, recorded_at=NOW, kind="antithrombotic", drug="clopidogrel", name="Clopidogrel",
        last_dose_at=NOW + timedelta(days=20),
    )  # fmt: skip
    found = answers.offers(appointment=visit, by=Actor.system("link"), at=NOW)
    assert len(found) == 3
    assert min(one.starts_at for one in found) >= NOW + timedelta(days=25)
    phone.get("another-time/")
    tokens = offered(phone.page)
    assert len(tokens) == 3
    assert phone.press("move", offer=tokens[0]).status_code == 200
    assert Appointment.objects.get().starts_at == found[0].starts_at

    taken.last_dose_at = NOW + timedelta(days=70)
    taken.save()
    visit.refresh_from_db()
    assert answers.offers(appointment=visit, by=Actor.system("link"), at=NOW) == ()


def test_nothing_is_offered_where_waiting_alone_does_not_help(visit: Appointment, phone: Phone, clinic: SmallClinic) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    Procedure.objects.filter(pk=visit.procedure_id).update(family="si_rfa")  # which the payer never covers
    Coverage.objects.create(
        patient=clinic.patient, recorded_at=NOW, payer="Medicare", payer_rules="medicare_multi_mac_2026",
        plan_type="original_medicare",
    )  # fmt: skip
    visit = Appointment.objects.select_related("patient", "procedure", "site").get(pk=visit.pk)
    cover = covering(wish=wish_of(visit), patient=visit.patient, at=NOW, moving=visit)
    assert cover.first(IN_A_WEEK) is None
    assert answers.offers(appointment=visit, by=Actor.system("link"), at=NOW) == ()
    phone.get("another-time/")
    assert offered(phone.page) == []
    assert "Please call me" in phone.page


def test_visit_within_a_day_is_moved_by_telephone_only(visit: Appointment, phone: Phone, settings: Any, tmp_path: Path) -> None:
    turn_clock(settings, tmp_path, visit.arrives_at - timedelta(hours=23))
    phone.get("another-time/")
    assert offered(phone.page) == []
    assert "we would rather speak with you" in phone.page
    assert "+1 518 555 0100" in phone.page


def test_asking_for_a_call_leaves_the_desk_one_task_with_age_and_wish(visit: Appointment, phone: Phone) -> None:
    phone.get("another-time/")
    phone.press("call", when="morning")
    assert "We will call you" in phone.page
    phone.get("another-time/")
    phone.press("call", when="morning")
    task = DeskTask.objects.get()
    assert (task.kind, task.appointment, task.patient, task.site, task.note) == (
        TaskKind.ANOTHER_TIME, visit, visit.patient, visit.site, "Asks to be called in the morning",
    )  # fmt: skip
    assert state(visit) == ("booked", 1)


def test_choosing_a_time_settles_the_wish_to_be_called(visit: Appointment, phone: Phone) -> None:
    phone.get("another-time/")
    phone.press("call", when="any")
    phone.get("another-time/")
    phone.press("move", offer=offered(phone.page)[0])
    assert DeskTask.objects.get().outcome == "not_needed"


# --- e-mail --------------------------------------------------------------------------------------------------------------


def test_mail_programs_one_click_stops_email_without_cookie_or_mark(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    answer = Client(enforce_csrf_checks=True).post(f"/l/{phone.secret}/", {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is False


def test_unsubscribing_by_the_page_can_be_taken_back(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    phone.get()
    phone.press("unsubscribe")
    assert "You will get no more e-mail" in phone.page
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is False
    phone.press("subscribe")
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is True


def test_post_of_a_scanner_without_the_agreed_words_stops_nothing(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    assert phone.client.post(f"/l/{phone.secret}/", {}).status_code == 409
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is True


# --- the second factor -----------------------------------------------------------------------------------------------------


def proven(phone: Phone, day: date) -> HttpResponse:
    typed = {"year": str(day.year), "month": str(day.month), "day": str(day.day)}
    answer: Any = phone.client.post(f"/l/{phone.secret}/plan/", typed, follow=True)
    phone.page = answer.content.decode()
    return answer  # type: ignore[no-any-return]


def test_medicines_are_shown_only_after_the_birth_date(visit: Appointment, phone: Phone) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    type(visit.procedure).objects.filter(pk=visit.procedure_id).update(bleeding_class="intermediate")
    Appointment.objects.filter(pk=visit.pk).update(
        **{name: getattr(visit, name) + timedelta(days=14) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    )
    nurse = Actor.of_user(factories.user(role="nurse", sites=(visit.site,)))
    thinner = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban"}
    records.record(kind=Medication, patient=visit.patient, values=thinner, by=nurse, at=NOW)
    phone.get()
    assert "Your medicine plan is ready" not in phone.page
    said = {"is_agreed": True, "answered_by": "Dr. Heart", "how": "telephone"}
    clearing.answer(appointment=visit, drug="apixaban", by=nurse, at=NOW, **said)
    phone.get()
    assert "Your medicine plan is ready" in phone.page
    phone.get("plan/")
    assert "Apixaban" not in phone.page
    assert proven(phone, date(1958, 2, 3)).status_code == 422
    assert "Apixaban" not in phone.page
    assert proven(phone, date(1958, 3, 2)).status_code == 200
    assert "Apixaban" in phone.page
    cookie = phone.client.cookies["clinic-proof"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (True, "Lax", "/l/", 900)


def test_a_medicine_whose_restart_is_left_open_is_shown_with_its_last_dose_only(visit: Appointment) -> None:
    tables.load(by=Actor.system("tests"), at=NOW)
    type(visit.procedure).objects.filter(pk=visit.procedure_id).update(bleeding_class="intermediate")
    for row in RuleRow.objects.filter(table="antithrombotics", section="drugs", row_id="clopidogrel"):
        row.data["restart_after"] = {}
        row.save()
    Appointment.objects.filter(pk=visit.pk).update(
        **{name: getattr(visit, name) + timedelta(days=14) for name in ("arrives_at", "starts_at", "ends_at", "leaves_at")}
    )
    nurse = Actor.of_user(factories.user(role="nurse", sites=(visit.site,)))
    thinner = {"kind": "antithrombotic", "drug": "clopidogrel", "name": "Clopidogrel"}
    records.record(kind=Medication, patient=visit.patient, values=thinner, by=nurse, at=NOW)
    said = {"is_agreed": True, "answered_by": "Dr. Heart", "how": "telephone"}
    clearing.answer(appointment=visit, drug="clopidogrel", by=nurse, at=NOW, **said)
    link = links.read(secret=phone_for(visit).secret, at=NOW)
    (line,) = answers.medicine_plan(link, NOW, "en")
    assert (line.medicine, bool(line.last_dose), line.restart) == ("Clopidogrel", True, "")


def test_proof_ends_after_a_quarter_of_an_hour_and_serves_its_own_link_only(
    visit: Appointment, phone: Phone, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(phone, date(1958, 3, 2))
    phone.get("plan/")
    assert "There is no plan for your medicines here yet" in phone.page
    other = phone_for(visit)
    other.client.cookies = phone.client.cookies
    other.get("plan/")
    assert "Please tell us your date of birth first" in other.page
    later = datetime.now(tz=UTC).timestamp() + 16 * 60
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    phone.get("plan/")
    assert "Please tell us your date of birth first" in phone.page


def test_birth_date_can_be_tried_five_times(visit: Appointment, phone: Phone) -> None:
    for day in range(3, 8):
        assert proven(phone, date(1958, 3, day)).status_code == 422
    assert proven(phone, date(1958, 3, 2)).status_code == 422
    assert "This was tried too often" in phone.page
    assert "+1 518 555 0100" in phone.page
    phone.get()
    assert "Yes, I will come" in phone.page


@pytest.mark.parametrize("typed", [{}, {"year": "x", "month": "3", "day": "2"}, {"year": "1958", "month": "13", "day": "2"}])
def test_what_is_no_date_counts_as_wrong(visit: Appointment, phone: Phone, typed: dict[str, str]) -> None:
    assert phone.client.post(f"/l/{phone.secret}/plan/", typed).status_code == 422
    assert Link.objects.get(digest=Link.digest_of(phone.secret)).wrong_proofs == 1


# --- what the page gives away ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, "nowhere/"])
def test_pages_are_neither_kept_nor_indexed_nor_told_on(visit: Appointment, phone: Phone, path: str) -> None:
    answer = phone.get(path)
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store, private", "no-referrer")
    assert "noindex" in answer["X-Robots-Tag"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer.cookies == {}
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', phone.page):
        assert address.startswith(("/static/visit.css", f"/l/{phone.secret}/", "tel:", "data:", "?lang=")), address
    assert "<script" not in phone.page


def test_secret_is_masked_in_every_log_line(phone: Phone) -> None:
    for line in (f"GET /l/{phone.secret}/ 200", f'Referer: "https://x.example/l/{phone.secret}/cancel/"', phone.address):
        assert phone.secret not in masked(line)


def test_random_secrets_are_stopped_and_others_go_on(visit: Appointment, phone: Phone) -> None:
    thief = Client(REMOTE_ADDR="203.0.113.9")
    told = [thief.get(f"/l/{Link.make_secret()}/").status_code for _ in range(50)]
    assert told == [404] * 20 + [429] * 30
    assert thief.get(f"/l/{phone.secret}/").status_code == 429
    assert phone.get().status_code == 200
    assert Client(REMOTE_ADDR="203.0.113.9").get("/l/x/y/z").status_code == 429


def test_presses_on_one_link_are_limited(visit: Appointment, phone: Phone) -> None:
    phone.get()
    told = [phone.press("discharge").status_code for _ in range(41)]
    assert (told[39], told[40]) == (422, 429)


# --- calendar, language ------------------------------------------------------------------------------------------------------


def event(answer: HttpResponse) -> Any:
    return Calendar.from_ical(answer.content.decode()).walk("VEVENT")[0]


def test_calendar_file_is_the_same_event_as_the_mails_and_names_nobody(visit: Appointment, phone: Phone, by: Actor) -> None:
    first = event(phone.get("visit.ics"))
    moved(visit, by)
    answer = phone.get("visit.ics")
    second = event(answer)
    assert str(first["UID"]) == str(second["UID"]) == str(visit.public_id)
    assert (first["SEQUENCE"], second["SEQUENCE"]) == (0, 1)
    assert second.decoded("DTSTART") == local(IN_A_WEEK, "10:45")
    assert answer["Content-Disposition"] == 'attachment; filename="visit.ics"'
    text = answer.content.decode().replace("\r\n ", "")
    for kept in ("vera@example.org", "Vera", "Marlow", "ATTENDEE", visit.procedure.name):
        assert kept not in text


def test_calendar_file_of_a_cancelled_visit_says_so(visit: Appointment, phone: Phone, by: Actor) -> None:
    booking.cancel(appointment=visit, reason="other", asked_by="clinic", by=by, at=NOW)
    assert str(event(phone.get("visit.ics"))["STATUS"]) == "CANCELLED"


def test_spanish_patient_reads_spanish_and_may_change(visit: Appointment, phone: Phone) -> None:
    visit.patient.language = "es"
    visit.patient.save()
    phone.get()
    for said in ('<html lang="es">', "lunes 21 de septiembre", "Sí, vendré", ">English<"):
        assert said in phone.page
    phone.get(lang="en")
    assert "Yes, I will come" in phone.page
    assert f'action="/l/{phone.secret}/?lang=en"' in phone.page
    phone.press("confirm")


@pytest.mark.parametrize("status", [Status.ARRIVED, Status.PREPARING, Status.READY, Status.IN_ROOM, Status.RECOVERY])
def test_patient_who_is_here_is_asked_nothing(visit: Appointment, phone: Phone, status: str) -> None:
    Appointment.objects.filter(pk=visit.pk).update(status=status)
    phone.get()
    assert "You have arrived" in phone.page
    assert "<form" not in phone.page


def test_patient_who_should_be_here_is_asked_to_call(visit: Appointment, phone: Phone, settings: Any, tmp_path: Path) -> None:
    phone.get()
    page = phone.page
    turn_clock(settings, tmp_path, visit.arrives_at)
    phone.get()
    assert "We expect you now" in phone.page
    assert "<form" not in phone.page
    phone.page = page
    assert phone.press("confirm").status_code == 422
    assert state(visit) == ("booked", 1)


def test_page_asks_the_same_few_queries_whatever_the_state(
    visit: Appointment, phone: Phone, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with django_assert_max_num_queries(2):
        phone.get()


def test_page_repeats_what_the_mail_asks_to_do_in_the_clinics_words(visit: Appointment, phone: Phone) -> None:
    visit.site.directions = "Blue door, second floor"
    visit.site.save()
    Wording.objects.create(key="bring", language="en", text="Bring your card, {phone}.", version=1, made_at=NOW)
    Appointment.objects.filter(pk=visit.pk).update(sedation="moderate")
    phone.get()
    for said in ("You may drink clear liquids", "an adult has to take you home", "Call us about your medicines",
                 "Bring your card, +1 518 555 0100.", "Blue door, second floor"):  # fmt: skip
        assert said in phone.page
    Appointment.objects.filter(pk=visit.pk).update(sedation="none")
    phone.get()
    assert "You may eat and drink as usual" in phone.page


# --- words ---------------------------------------------------------------------------------------------------------------------


def said_by(path: Path) -> set[str]:
    """Return the texts that a template has translated, as the catalogue names them."""
    source = path.read_text(encoding="utf-8")
    plain = re.findall(r'{% translate "([^"]+)" %}', source)
    blocks = re.findall(r"{% blocktranslate trimmed[^%]*%}(.*?){% endblocktranslate %}", source, re.DOTALL)
    return {*plain, *(re.sub(r"{{ (\w+) }}", r"%(\1)s", " ".join(block.split())) for block in blocks)}


def test_every_text_of_the_pages_stands_in_the_spanish_catalogue() -> None:
    base = Path(django_settings.BASE_DIR)
    folder = base / "scheduling/locale/es/LC_MESSAGES"
    mails, pairs = (
        dict(re.findall(r'msgid "(.+)"\nmsgstr "(.+)"', (place / "django.po").read_text(encoding="utf-8")))
        for place in (base / "locale/es/LC_MESSAGES", folder)
    )
    with (folder / "django.mo").open("rb") as file:
        compiled = GNUTranslations(file)
    assert {said: compiled.gettext(said) for said in pairs} == pairs
    pages = sorted((base / "templates/scheduling/link").glob("*.html"))
    said = set().union(*(said_by(page) for page in pages))
    assert len(said) > 60
    words = mails | pairs  # what the mails say too stands with them
    assert said - set(words) == set()
    assert [text for text in said if words[text] == text] == []
