"""What comes next in a course, in the patient's own words: what, why, and what happens now. No date that is not booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.translation import gettext

from pain_clinic.errors import Gone
from procedures.models import Procedure
from procedures.pathways import Step
from scheduling import courses
from scheduling.letters import short_day, time_of_day
from scheduling.letters.passages import noop
from scheduling.models import BEFORE_ARRIVAL, Course, CourseStatus, Link, PlannedSession, PlanState

# What is done, by the families of the catalogue. A family that is not named here is told as "your next session".
WHAT: Mapping[str, str] = {
    "esi": noop("an injection near the spine"),
    "mbb_diagnostic": noop("a test injection at the small joints of the spine"),
    "facet_injection": noop("an injection into the small joints of the spine"),
    "facet_rfa": noop("a treatment with heat at the small nerves of the spine"),
    "facet_rfa_cooled": noop("a treatment with heat at the small nerves of the spine"),
    "tpi": noop("injections into tense muscles"),
    "si_injection": noop("an injection at the joint between spine and pelvis"),
    "genicular_block": noop("a test injection at the nerves of the knee"),
    "genicular_rfa": noop("a treatment with heat at the nerves of the knee"),
    "sympathetic_block": noop("an injection at a bundle of nerves"),
    "scs_trial": noop("a trial with a stimulator"),
    "scs_trial_followup": noop("taking out the leads of the trial"),
    "scs_implant": noop("placing a stimulator that stays"),
}
ANY_SESSION = noop("your next session")
SIDES: Mapping[str, str] = {
    "left": noop("on the left side"),
    "right": noop("on the right side"),
    "bilateral": noop("on both sides"),
}
FIRST = noop("It is the first step of the plan that your physician made with you.")
OTHER_SIDE = noop("One side is done. The other side comes next.")
SURE = noop("The first test helped. A second one on another day makes sure that it is the right place.")
LASTS = noop("The test helped. This treatment is meant to help for longer.")
AGAIN = noop("It helped you the last time, so it may be done again.")
OTHERWISE = noop("The last time did not help enough, so your physician wants to do it in another way.")
TRIAL_ENDS = noop("The trial ends with it.")
TRIAL_HELPED = noop("The trial helped you.")
NEXT = noop("It is the next step of your plan.")
NOT_BOOKED = noop("Nothing is booked yet. We will call you to find a day, or you call us.")
WAITS: Mapping[str, str] = {
    "patient": noop("Before we can plan it we need to know how you are. We ask you by e-mail; please answer, or call us."),
    "physician": noop("Your physician has to look at something first. You need not do anything now."),
    "biller": noop("We are waiting for the answer of your insurance. You need not do anything now."),
}
WAITS_FOR_PAPER = noop("A document is still missing. We call you if we need it from you.")
OVER = noop("No further session is planned at the moment.")
FINISHED = noop("Your plan is finished. Nothing more has to be done.")
STOPS: Mapping[str, str] = {
    "relief_not_reached": noop("The last session did not help as much as it should to go on like this."),
    "relief_not_longer": noop("The last session did not help for longer than the one before."),
    "more_medicine": noop("The trial did not lead to less medicine."),
    "cap_met": noop("This may be done only so often in a certain time, and that is reached."),
    "expired": noop("The time in which it could follow is over."),
    "limit_reached": noop("As many sessions as your physician planned are done."),
    "refused": noop("Your insurance has not agreed."),
    "physician": noop("Your physician has decided so."),
}
TALK = noop("Your physician will talk with you about what else can be done.")
PATIENTS_OWN = frozenset({"relief_not_reached", "relief_not_longer", "more_medicine", "cap_met", "expired", "refused"})


class NothingToRead(Gone):
    """The message of this link is about no course."""

    def __init__(self) -> None:
        super().__init__("link_gone", "This link is no longer good.")


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What comes next, as a patient reads it; `booked` only where a visit stands."""

    what: str
    why: tuple[str, ...]
    now: str
    booked: str


def upcoming(link: Link, at: datetime) -> Upcoming:
    """Return what comes next in the course of a link, as things are now, in the language that is active.

    Raises:
        NothingToRead: the link is about no course.
    """
    course = Course.objects.filter(messages=link.message).select_related("patient", "site").first()
    if course is None:
        raise NothingToRead
    plan = PlannedSession.objects.filter(course=course, is_current=True).select_related("appointment__site").first()
    if course.status == CourseStatus.DONE:
        return Upcoming("", (), gettext(FINISHED), "")
    if course.status == CourseStatus.STOPPED or plan is None or plan.state == PlanState.STOPPED:
        return _stopped(course)
    family = _family(course, plan)
    what = gettext(WHAT.get(family, ANY_SESSION))
    side = plan.side or course.side
    if side in SIDES and family != "scs_trial":
        what = f"{what} {gettext(SIDES[side])}"
    booked = _booked(plan)
    return Upcoming(what, (gettext(_why(course, plan, family, at)),), "" if booked else _now(plan), booked)


def _stopped(course: Course) -> Upcoming:
    why = tuple(gettext(text) for text in (STOPS.get(course.stop_code),) if text)
    more = (gettext(TALK),) if course.stop_code in PATIENTS_OWN or not why else ()
    return Upcoming("", (*why, *more), gettext(OVER), "")


def _family(course: Course, plan: PlannedSession) -> str:
    code = plan.procedure or course.works.get(plan.step, "")
    return Procedure.objects.filter(code=code).values_list("family", flat=True).first() or ""


def _why(course: Course, plan: PlannedSession, family: str, at: datetime) -> str:
    """Return why this comes next: from what was done before, and whether it helped."""
    last = courses.last_step(course, at=at)
    if last is None:
        return FIRST
    if plan.state == PlanState.WAITING:
        return NEXT  # whether it helped is not known yet
    if last.id == plan.step and any("other side" in reason for reason in plan.reasons[:1]):
        return OTHER_SIDE
    if family in ("scs_trial_followup", "scs_implant"):
        return TRIAL_ENDS if family == "scs_trial_followup" else TRIAL_HELPED
    if family in last.families:
        return _same_again(last, plan, family)
    return LASTS if _is_test(last) else NEXT


def _same_again(last: Step, plan: PlannedSession, family: str) -> str:
    if last.id != plan.step and _is_test(last):
        return SURE if family in ("mbb_diagnostic", "genicular_block") else LASTS if family == "si_injection" else AGAIN
    return OTHERWISE if any("helped less than" in reason for reason in plan.reasons) else AGAIN


def _is_test(step: Step) -> bool:
    return step.role == "diagnostic" or bool(step.families & {"mbb_diagnostic", "genicular_block", "sympathetic_block"})


def _now(plan: PlannedSession) -> str:
    if plan.state == PlanState.PROPOSED:
        return gettext(NOT_BOOKED)
    return gettext(WAITS.get(plan.owner, WAITS_FOR_PAPER))


def _booked(plan: PlannedSession) -> str:
    case = plan.appointment
    if case is None or case.status not in BEFORE_ARRIVAL:
        return ""
    arrives = case.arrives_at.astimezone(ZoneInfo(case.site.time_zone))
    return gettext("Your visit is booked: %(day)s, please arrive at %(arrival)s.") % {
        "day": short_day(arrives), "arrival": time_of_day(arrives),
    }  # fmt: skip
