"""What patients are told about their course: by a mail without any of it, and behind its link in their own words."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.test import Client

from patients.models import Patient
from procedures.models import Procedure
from scheduling import answers, booking, courses, letters, links, messages
from scheduling.answers.upcoming import NothingToRead
from scheduling.booking import Target
from scheduling.models import Appointment, Course, LinkPurpose, Message, MessageKind, Status
from scheduling.openings import find_openings
from tests import factories
from tests.database.scheduling.courses.conftest import FACET, Ward, current
from tests.factories import NOW, TODAY, local

DAY = timedelta(days=1)
SETTLED = NOW + timedelta(minutes=10)
EPIDURAL = courses.Terms("esi_as_needed", {"epidural": "esi_tf_lumbar"}, side="right", levels=("L4-L5",))
IMPLANT = courses.Terms(
    "scs_trial_to_implant",
    {"trial": "scs_trial", "lead_removal": "scs_trial_lead_pull", "implant": "scs_implant"},
    side="midline", levels=("T12-L1",),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _seen_before(ward: Ward) -> None:
    """Let the patient have an address and have been here: a mail hangs at a case."""
    Patient.objects.filter(pk=ward.patient.pk).update(email="vera@example.org")
    ward.patient.refresh_from_db()
    factories.appointment(
        of=ward.patient, at_site=ward.clinic.site, for_procedure=ward.clinic.procedure, resources=(),
        starts_at=local(TODAY - 30 * DAY, "9:00"), status=Status.DISCHARGED, side="left",
    )  # fmt: skip


def told() -> list[Message]:
    return list(Message.objects.filter(kind=MessageKind.COURSE).order_by("pk"))


def sent(message: Message, at: datetime) -> None:
    Message.objects.filter(pk=message.pk).update(state="sent", done_at=at)


def read(client: Client, message: Message, *, language: str = "en", born: tuple[str, str, str] = ("1958", "3", "2")) -> str:
    """Open the link of a mail, prove who reads it, and return the page's words."""
    address = links.issue(message=message, purpose=LinkPurpose.COURSE, at=NOW)
    path = f"/l/{address.rstrip('/').rpartition('/')[2]}/"
    page = client.get(f"{path}?lang={language}").content.decode()
    assert "born" not in page
    year, month, day = born
    answer = client.post(f"{path}plan/?lang={language}", {"year": year, "month": month, "day": day})
    shown = client.get(answer["Location"]) if answer.status_code == 303 else answer
    return " ".join(html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", shown.content.decode(), flags=re.S)).split())


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pain_clinic.web.now", lambda: NOW)


# --- the mail --------------------------------------------------------------------------------------------------------


def test_a_new_course_is_told_once_it_stands(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    assert courses.inform(at=NOW) == 0
    assert courses.inform(at=SETTLED) == 1
    assert courses.inform(at=SETTLED + DAY) == 0
    (message,) = told()
    assert (message.course_id, message.state, message.due_at) == (course.pk, "due", SETTLED)


def test_the_same_step_with_another_window_is_no_news_and_another_step_is(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    sent(told()[0], SETTLED)
    terms = courses.Terms(**{**{name: getattr(FACET, name) for name in FACET.__slots__}, "not_before": TODAY + 40 * DAY})
    courses.change(course=course, terms=terms, by=ward.doctor, at=NOW + DAY)
    assert courses.inform(at=NOW + 2 * DAY) == 0
    ward.done("mbb_lumbar", TODAY, pct=90)
    courses.sweep(at=NOW + DAY)
    assert current(course).step == "block_2"
    assert courses.inform(at=NOW + 2 * DAY) == 1


def test_never_more_than_one_mail_a_week_for_a_course(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    sent(told()[0], SETTLED)
    courses.stop(course=course, reason="Goal reached", by=ward.doctor, at=NOW + DAY)
    assert courses.inform(at=NOW + 2 * DAY) == 1
    assert told()[1].due_at == SETTLED + 7 * DAY
    courses.restart(course=course, by=ward.doctor, at=NOW + 2 * DAY, on=TODAY + 2 * DAY)
    assert courses.inform(at=NOW + 3 * DAY) == 0  # the one that waits says what is true when it is opened
    assert len(told()) == 2


def test_news_before_the_mail_has_left_is_told_by_that_mail(ward: Ward) -> None:
    course = ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    courses.stop(course=course, reason="Goal reached", by=ward.doctor, at=NOW + DAY)
    assert courses.inform(at=NOW + 2 * DAY) == 0
    (message,) = told()
    before = Course.objects.get(pk=course.pk)
    assert (message.state, before.news_at) == ("due", None)
    sent(message, NOW + 2 * DAY)
    assert courses.inform(at=NOW + 3 * DAY) == 0


@pytest.mark.parametrize("values", [{"accepts_email": False}, {"email": ""}, {"deceased_on": TODAY}])
def test_who_wants_or_can_get_no_mail_gets_none(ward: Ward, values: dict[str, object]) -> None:
    ward.start(since=TODAY)
    Patient.objects.filter(pk=ward.patient.pk).update(**values)
    assert courses.inform(at=SETTLED) == 0
    assert told() == []


def test_who_was_never_here_is_told_with_the_first_case(ward: Ward) -> None:
    other = factories.patient(home=ward.clinic.site, last_name="New", email="new@example.org")
    ward.start(patient=other, since=TODAY)
    assert courses.inform(at=SETTLED) == 0
    factories.appointment(of=other, at_site=ward.clinic.site, for_procedure=ward.clinic.procedure, side="left")
    assert courses.inform(at=SETTLED + DAY) == 1


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_mail_says_nothing_of_health_and_gives_no_date(ward: Ward, language: str) -> None:
    Patient.objects.filter(pk=ward.patient.pk).update(language=language)
    ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    message = Message.objects.select_related("appointment__site", "appointment__procedure", "patient").get(
        kind=MessageKind.COURSE
    )
    letter = letters.write(
        message, at=NOW, known=letters.Known(link="https://x.example/l/s/", unsubscribe="https://x.example/l/u/")
    )
    assert letter.subject == {"en": "What comes next", "es": "Lo que sigue"}[language]
    lowered = letter.text.lower()
    for word in (
        "block",
        "ablation",
        "facet",
        "lumbar",
        "injection",
        "inyección",
        "bloqueo",
        "pain",
        "dolor",
        "sep",
        "2026",
        "oct",
    ):
        assert word not in lowered, word
    assert "https://x.example/l/s/" in letter.text
    assert letter.calendar == ""


def test_the_worker_sends_it_with_links_of_its_own_purpose(ward: Ward) -> None:
    ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    Message.objects.exclude(kind=MessageKind.COURSE).delete()
    Message.objects.update(due_at=NOW - DAY)
    kept: list[str] = []

    class Box:
        def send(self, letter: letters.Letter) -> None:
            kept.append(letter.subject)

        def close(self) -> None:
            pass

    messages.sweep(gateway=Box())  # type: ignore[arg-type]
    message = Message.objects.get(kind=MessageKind.COURSE)
    if message.state == "due":  # the test runs in the patient's night
        assert message.reason == "quiet_hours"
        return
    assert (kept, message.state) == (["What comes next"], "sent")
    assert sorted(message.links.values_list("purpose", flat=True)) == ["course", "unsubscribe"]
    assert "/l/***" in message.text


# --- the page --------------------------------------------------------------------------------------------------------


def page_of(ward: Ward, client: Client, **values: str) -> str:
    courses.inform(at=SETTLED)
    return read(client, told()[-1], **values)


def test_nothing_is_told_before_the_birth_date(ward: Ward, client: Client) -> None:
    ward.start(since=TODAY)
    shown = page_of(ward, client, born=("1958", "3", "3"))
    assert "This is not the date that we have." in shown
    assert "injection" not in shown


def test_the_first_step_is_told_without_a_date(ward: Ward, client: Client) -> None:
    ward.start(since=TODAY)
    shown = page_of(ward, client)
    assert "A test injection at the small joints of the spine on the right side." in shown
    assert "It is the first step of the plan that your physician made with you." in shown
    assert "Nothing is booked yet. We will call you to find a day, or you call us." in shown
    assert not re.search(r"September|October|2026|\d:\d\d", shown)


def test_in_spanish_it_says_the_same(ward: Ward, client: Client) -> None:
    ward.start(since=TODAY)
    shown = page_of(ward, client, language="es")
    assert "Una inyección de prueba en las pequeñas articulaciones de la columna en el lado derecho." in shown
    assert "Es el primer paso del plan que su médico hizo con usted." in shown
    assert "Todavía no hay nada reservado." in shown


def test_a_second_block_and_the_ablation_say_why(ward: Ward, client: Client) -> None:
    ward.done("mbb_lumbar", TODAY - 40 * DAY, pct=90)
    course = ward.start()
    assert "The first test helped. A second one on another day makes sure" in page_of(ward, client)
    ward.done("mbb_lumbar", TODAY - 20 * DAY, pct=90)
    courses.sweep(at=NOW)
    assert current(course).step == "ablation"
    shown = read(client, told()[0])
    assert "A treatment with heat at the small nerves of the spine on the right side." in shown
    assert "The test helped. This treatment is meant to help for longer." in shown


def test_a_booked_session_is_told_with_its_day(ward: Ward, client: Client) -> None:
    course = ward.start(since=TODAY)
    procedure = Procedure.objects.get(code="mbb_lumbar")
    opening = find_openings(procedure=procedure, at=NOW, patient=ward.patient, limit=1).openings[0]
    case = booking.book(
        patient=ward.patient, procedure=procedure, target=Target("right", FACET.levels), opening=opening, by=ward.desk, at=NOW
    )
    courses.sweep(at=NOW)
    assert current(course).appointment_id == case.pk
    shown = page_of(ward, client)
    assert re.search(r"Your visit is booked: Monday 14 September, please arrive at \d", shown)
    assert "Nothing is booked yet" not in shown


def test_waiting_and_stopping_are_told_plainly(ward: Ward, client: Client) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY)
    course = ward.start()
    assert "we need to know how you are" in page_of(ward, client)
    courses.stop(course=course, reason="Wants surgery first", by=ward.doctor, at=NOW)
    shown = read(client, told()[0])
    assert "No further session is planned at the moment." in shown
    assert "Your physician has decided so." in shown
    assert "surgery" not in shown


def test_lost_relief_is_told_with_who_talks_next(ward: Ward, client: Client) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY, pct=10)
    ward.start()
    shown = page_of(ward, client)
    assert "The last session did not help as much as it should to go on like this." in shown
    assert "Your physician will talk with you" in shown


@pytest.mark.parametrize(
    ("language", "talks", "asks"),
    [
        ("en", "Your physician will talk with you about what else can be done.", "If you have questions"),
        ("es", "Su médico hablará con usted sobre qué más se puede hacer.", "Si tiene preguntas"),
    ],
)
def test_a_stopped_course_asks_to_call_once(ward: Ward, client: Client, language: str, talks: str, asks: str) -> None:
    ward.done("mbb_lumbar", TODAY - 3 * DAY, pct=10)
    ward.start()
    shown = page_of(ward, client, language=language)
    assert talks in shown
    assert shown.count(asks) == 1


def test_a_course_that_reached_its_end_is_told_as_finished(ward: Ward, client: Client) -> None:
    Procedure.objects.filter(code__in=IMPLANT.works.values()).update(is_offered=True)
    ward.done("scs_implant", TODAY - 3 * DAY, side="midline", levels=["T12-L1"])
    ward.start(IMPLANT)
    shown = page_of(ward, client)
    assert "Your plan is finished. Nothing more has to be done." in shown
    assert "Nothing is booked yet" not in shown


def test_what_is_done_on_the_midline_is_told_without_a_side(ward: Ward, client: Client) -> None:
    ward.start(courses.Terms("esi_as_needed", {"epidural": "esi_il_lumbar"}, side="midline", levels=("L4-L5",)), since=TODAY)
    shown = page_of(ward, client)
    assert "It is the first step of the plan" in shown
    assert " side." not in shown


def test_the_other_side_is_told_once_one_is_done(ward: Ward, client: Client) -> None:
    for ago in (60, 40):
        ward.done("mbb_lumbar", TODAY - ago * DAY, side="bilateral", pct=90)
    ward.done("rfa_facet_lumbar", TODAY - 20 * DAY, side="left")
    ward.start(replace(FACET, side="bilateral", is_staged=True), since=TODAY - 90 * DAY)
    shown = page_of(ward, client)
    assert "One side is done. The other side comes next." in shown
    assert "on the right side." in shown


def test_what_ends_a_trial_is_told_so(ward: Ward, client: Client) -> None:
    Procedure.objects.filter(code__in=IMPLANT.works.values()).update(is_offered=True)
    ward.done("scs_trial", TODAY - 3 * DAY, side="midline", levels=["T12-L1"])
    ward.start(IMPLANT)
    shown = page_of(ward, client)
    assert "Taking out the leads of the trial." in shown
    assert "The trial ends with it." in shown


def test_a_treatment_that_helped_is_told_as_one_that_may_be_done_again(ward: Ward, client: Client) -> None:
    done = ward.done("esi_tf_lumbar", TODAY - 120 * DAY, levels=["L4-L5"], pct=70)
    ward.told(done, TODAY - 27 * DAY, 3, "follow_up")
    ward.start(EPIDURAL, since=TODAY - 200 * DAY)
    assert "It helped you the last time, so it may be done again." in page_of(ward, client)


def test_a_course_whose_pathway_has_just_gone_is_told_as_it_was_planned(ward: Ward, client: Client) -> None:
    course = ward.start(since=TODAY)
    Course.objects.filter(pk=course.pk).update(pathway="gone")  # planned anew a little later
    shown = page_of(ward, client)
    assert "A test injection at the small joints of the spine on the right side." in shown
    assert "It is the first step of the plan" in shown


def test_a_link_of_a_mail_about_no_course_has_nothing_to_read(ward: Ward) -> None:
    ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    Message.objects.filter(kind=MessageKind.COURSE).update(course=None)
    secret = links.issue(message=told()[0], purpose=LinkPurpose.COURSE, at=NOW).rstrip("/").rpartition("/")[2]
    with pytest.raises(NothingToRead) as refused:
        answers.upcoming(links.read(secret=secret, at=NOW), NOW)
    assert refused.value.code == "link_gone"


def test_every_family_of_the_pathways_has_plain_words() -> None:
    from procedures.tables.courses import shipped_pathways  # what the page has words for is checked against the table
    from scheduling.answers.upcoming import WHAT

    assert {family for pathway in shipped_pathways().values() for family in pathway.families} <= set(WHAT)


def test_a_link_of_another_purpose_opens_no_course(ward: Ward, client: Client) -> None:
    ward.start(since=TODAY)
    courses.inform(at=SETTLED)
    address = links.issue(message=told()[0], purpose=LinkPurpose.UNSUBSCRIBE, at=NOW)
    assert client.get(f"/l/{address.rstrip('/').rpartition('/')[2]}/plan/").status_code == 404
    assert Course.objects.count() == 1
    assert Appointment.objects.filter(status="booked").count() == 0
