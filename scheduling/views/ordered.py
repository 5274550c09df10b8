"""What a course ordered, on the booking page: it is filled in, and goes with its patient and its procedure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

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
from scheduling.models import Course, CourseStatus

ORDERED = ("role", "drug", "rationale")  # what a course says of its sessions, and the desk may see and change


class Asking(Protocol):
    """What the booking page knows of for whom and for what it is booked."""

    request: HttpRequest
    data: QueryDict
    given: dict[str, Any]
    by: Actor
    patient: Patient | None
    procedure: Procedure | None
    course: Course | None


def course_of(desk: Asking) -> Course | None:
    """Return the running course of this patient for which it is booked."""
    wanted = desk.given.get("course")
    if not wanted or desk.patient is None or desk.procedure is None:
        return None
    running = Course.objects.visible_to(web.member(desk.request)).filter(patient=desk.patient, status=CourseStatus.ACTIVE)
    return running.filter(public_id=wanted).first()


def details_of(desk: Asking) -> Details:
    """Return what was typed, and for which course and problem; what was ordered stands there before anything is typed.

    Where the course no longer fits (another patient, another procedure), nothing of what was ordered stays.
    """
    if not desk.given.get("course"):
        return details_in(desk.given)
    said = Details()
    if desk.course is not None and desk.procedure is not None:
        said = courses.ordered(course=desk.course, procedure=desk.procedure)
    if said.course_id is None:
        _fill(desk, ORDERED, said)
    elif desk.request.method == "GET":
        _fill(desk, [name for name in ORDERED if name not in desk.data], said)
        _note_reading(desk)
    return replace(details_in(desk.given), course_id=said.course_id, problem_id=said.problem_id)


def told(page: BookPage, course: Course | None, details: Details) -> BookPage:
    """Say on the page for which course it is booked."""
    if course is None or details.course_id is None:
        return page
    pathway = pathwaybook.pathways().get(course.pathway)
    name = pathway.name if pathway is not None else course.pathway
    return replace(page, course=str(course.public_id), course_name=name)


def _fill(desk: Asking, names: tuple[str, ...] | list[str], said: Details) -> None:
    for name in names:
        desk.given[name] = desk.data[name] = getattr(said, name)


def _note_reading(desk: Asking) -> None:
    assert desk.course is not None
    assert desk.patient is not None
    trail.record(
        by=desk.by, act="scheduling.course_read", subject=desk.course, patient=desk.patient.public_id,
        site_id=desk.course.site_id,
    )  # fmt: skip
