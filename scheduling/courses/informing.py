"""Write to patients when something else comes next for them: a mail that says so, once a week at most for each course.

What it is stands behind the link, after the birth date. The mail is laid down; sending is the messages' business.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from scheduling.courses.planning import news_of
from scheduling.messages.words import PRIORITY, cannot_be_written_to
from scheduling.models import Appointment, Course, CourseStatus, Message, MessageKind, MessageState, PlannedSession

ACTOR = Actor.system("courses")
SETTLES = timedelta(minutes=10)  # so long a plan has to stand before anybody is told
APART = timedelta(days=7)  # between two mails about one course
AT_ONCE = 200


def inform(*, at: datetime, limit: int = AT_ONCE) -> int:
    """Lay down a mail for each course of which there is news; return how many. Who wants no mail gets none."""
    with transaction.atomic():
        # The mail hangs at one of the patient's cases; who has none yet is told with the first booking.
        has_case = Exists(Appointment.objects.filter(patient=OuterRef("patient")))
        due = Course.objects.filter(has_case, news_at__lte=at - SETTLES).select_related("patient", "site")
        courses = list(due.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by("news_at", "pk")[:limit])
        plans = {row.course_id: row for row in PlannedSession.objects.filter(course__in=courses, is_current=True)}
        told = sum(_inform(course, plans.get(course.pk), at) for course in courses)
        Course.objects.bulk_update(courses, ["told_of", "news_at"])
    return told


def _inform(course: Course, plan: PlannedSession | None, at: datetime) -> bool:
    news = fingerprint(course, plan)
    is_new = bool(news) and news != course.told_of
    course.news_at = None
    patient = course.patient
    if not is_new or patient.deceased_on is not None or cannot_be_written_to(patient):
        return False
    earlier = Message.objects.filter(course=course).order_by("-pk")
    last = earlier.first()
    course.told_of = news
    if last is not None and last.state == MessageState.DUE:
        return False  # it has not left yet: who opens it reads what is true then
    due_at = at
    if last is not None and last.state == MessageState.SENT and last.done_at is not None:
        due_at = max(at, last.done_at + APART)
    case = Appointment.objects.filter(patient=patient).order_by("is_history", "-starts_at", "-pk")[0]
    message = Message.objects.create(
        appointment=case, patient=patient, course=course, kind=MessageKind.COURSE,
        step=f"course-{course.pk}-{earlier.count() + 1}", version=case.version, calendar_sequence=case.calendar_sequence,
        planned_at=due_at, due_at=due_at, priority=PRIORITY[MessageKind.COURSE], created_at=at,
    )  # fmt: skip
    trail.record(
        by=ACTOR, act="scheduling.tell_course", subject=course, patient=patient.public_id, site_id=course.site_id,
        details={"message": str(message.public_id)},
    )  # fmt: skip
    return True


def fingerprint(course: Course, plan: PlannedSession | None) -> str:
    """Return what the patient would be written about now; empty while there is nothing."""
    if course.status == CourseStatus.STOPPED:
        return f"stopped:{course.stop_code}"
    return news_of(plan) if plan is not None else ""
