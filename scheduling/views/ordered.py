"""What a course ordered, on the booking page: it is filled in, and goes when the course or the procedure no longer fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

from django.http import HttpRequest, QueryDict

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients.models import Patient
from procedures import pathwaybook
from procedures.models import Procedure
from scheduling import courses
from scheduling.agenda.shapes import BookPage
from scheduling.assessing import Details
from scheduling.forms import details_in
from scheduling.forms.details import SaidFields
from scheduling.models import Course, CourseStatus

ORDERED = {"role": "role", "drug": "steroid", "rationale": "reason"}  # what a course says of its sessions; the desk may change it


class Asking(Protocol):
    """What the booking page knows of for whom and for what it is booked."""

    request: HttpRequest
    data: QueryDict
    given: dict[str, Any]
    by: Actor
    patient: Patient | None
    procedure: Procedure | None
    named: Course | None


def forget(data: QueryDict, given: dict[str, Any]) -> None:
    """Where somebody else is picked, let nothing stay that was said about the one before: details, reasons and waivers."""
    before, picked = given.get("patient"), given.get("pick")
    if before is None or not (data.get("act") == "someone" or (picked and picked != before)):
        return
    _fill(data, given, dict.fromkeys(SaidFields.base_fields))
    for name in [name for name in data if name == "waive" or name.startswith(("reason_", "text_"))]:
        del data[name]


def course_of(desk: Asking) -> Course | None:
    """Return the course of this patient that the address or the form names, running or not."""
    wanted: UUID | None = desk.given.get("course")
    if not wanted or desk.patient is None:
        return None
    mine = Course.objects.visible_to(web.member(desk.request)).filter(patient=desk.patient)
    return mine.select_related("problem").filter(public_id=wanted).first()


def details_of(desk: Asking) -> Details:
    """Return what was typed, and for which course and problem; what was ordered stands there before anything is typed.

    Where the course has stopped or has no such procedure, what it had filled in is taken back; what a person typed stays.
    """
    if not desk.given.get("course"):
        return details_in(desk.given)
    said, course = Details(), desk.named
    if course is not None and course.status == CourseStatus.ACTIVE and desk.procedure is not None:
        said = courses.ordered(course=course, procedure=desk.procedure)
    if said.course_id is None:
        _fill(desk.data, desk.given, dict.fromkeys(_untouched(desk.given, course)))
    elif desk.request.method == "GET":
        _fill(desk.data, desk.given, {name: getattr(said, name) for name in ORDERED if name not in desk.data})
        _note_reading(desk)
    return replace(details_in(desk.given), course_id=said.course_id, problem_id=said.problem_id)


def told(page: BookPage, desk: Asking, details: Details) -> BookPage:
    """Say on the page for which course it is booked, for which problem, and what of its order stands in the form."""
    course = desk.named
    if course is None or details.course_id is None or desk.procedure is None:
        return page
    pathway = pathwaybook.pathways().get(course.pathway)
    said = courses.ordered(course=course, procedure=desk.procedure)
    standing = [word for name, word in ORDERED.items() if getattr(said, name) and getattr(details, name) == getattr(said, name)]
    return replace(
        page,
        course=str(course.public_id),
        course_name=pathway.name if pathway is not None else course.pathway,
        course_problem=course.problem,
        as_ordered=tuple(standing),
    )


def _untouched(given: dict[str, Any], course: Course | None) -> list[str]:
    """Return the fields in which stands what the course fills in; all of them where it is not known what that is."""
    if course is None:
        return list(ORDERED)
    fills = courses.fills(course=course)
    return [name for name in ORDERED if _folded(given.get(name)) in map(_folded, fills[name])]


def _folded(text: Any) -> str:
    """Return a text without its spaces: a line of a form has no line ends, and what is ordered may."""
    return "".join(str(text or "").split())


def _fill(data: QueryDict, given: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        given[name], data[name] = value, value or ""


def _note_reading(desk: Asking) -> None:
    assert desk.named is not None
    assert desk.patient is not None
    trail.record(
        by=desk.by, act="scheduling.course_read", subject=desk.named, patient=desk.patient.public_id,
        site_id=desk.named.site_id,
    )  # fmt: skip
