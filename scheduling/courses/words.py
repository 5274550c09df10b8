"""What a course is asked for, and how its verbs refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pain_clinic.accounts.actors import Actor
from pain_clinic.errors import Conflict, Forbidden, Refused
from patients.models import Presentation
from procedures.rules import Finding
from scheduling.models import Resource

ORDER, WORK = "scheduling.order_course", "scheduling.work_course"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a physician orders: the pathway, the target, what is meant in each step, and the bounds."""

    pathway: str
    works: Mapping[str, str] = field(default_factory=dict)  # step -> code of a procedure
    side: str = ""
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    drug: str = ""
    is_staged: bool = False
    first_side: str = "left"
    physician: Resource | None = None
    problem: Presentation | None = None
    diagnosis: str = ""
    goal: str = ""
    most_sessions: int | None = None
    not_before: date | None = None
    not_after: date | None = None
    gap_days: int | None = None
    wishes: tuple[str, ...] = ()
    rationale: str = ""


class TermsRefused(Refused):
    """A course cannot be ordered like this; `field` says where it is wrong."""

    def __init__(self, field_name: str, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__("terms_refused", message, {"field": field_name, "findings": [one.as_json() for one in findings]})
        self.field = field_name


class CourseStale(Conflict):
    """The course changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("course_stale", "Somebody changed this course while you were at it. Look at it again, then decide.")


class CourseNotRunning(Conflict):
    """The course has stopped or is finished."""

    def __init__(self, told: str) -> None:
        super().__init__("course_not_running", told)


class NotOfThisCourse(CourseNotRunning):
    """What was to be booked for a course by hand is nothing that it orders any more."""

    def __init__(self) -> None:
        super().__init__(
            "The course for which this was to be booked has stopped, or has no such procedure. "
            "Look at what is left; what you book now is for no course."
        )


class ProblemChanged(Conflict):
    """The course is for another problem than the page showed, and rules read that one."""

    def __init__(self, name: str) -> None:
        told = f"for another problem now: {name}" if name else "for no problem on record now"
        super().__init__("problem_changed", f"The course is {told}. Look at what speaks against it, then book.")


class NothingPlanned(Conflict):
    """What was to be booked is no longer what comes next."""

    def __init__(self) -> None:
        super().__init__("nothing_planned", "This is no longer what comes next in the course. Nothing was booked.")


class ReasonMissing(Refused):
    """Somebody has to say why."""

    def __init__(self) -> None:
        super().__init__("reason_missing", "Say why.")


def must_order(by: Actor) -> None:
    """Refuse who may not order courses.

    Raises:
        Forbidden: always then.
    """
    if not by.may(ORDER):
        raise Forbidden("not_allowed", "Only a physician starts, changes, stops or restarts a course.")


def must_work(by: Actor) -> None:
    """Refuse who may not work on the worklist.

    Raises:
        Forbidden: always then.
    """
    if not by.may(WORK):
        raise Forbidden("not_allowed", "You may not work on the worklist.")
