"""What the floor above tells of a patient: cases, messages and what is planned. The settings name who is asked, so that
nothing here imports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from patients.models import Patient


@dataclass(frozen=True, slots=True)
class Visit:
    """A case that is to come, or of which nothing performed is on record; drawn as every case line is."""

    url: str
    starts_at: datetime  # of its place
    on: date
    procedure: str  # with its levels and side
    where: str
    status: str
    is_coming: bool
    why: str  # how it came to nothing
    category: str
    family: str
    levels: list[str]
    regions: list[str]
    own_regions: list[str]
    side: str
    case: str = ""
    body_site: str = ""
    patient: str = ""
    day_shown: bool = True
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that left or was to leave."""

    on: date
    what: str
    state: str  # sent, failed or skipped
    why: str  # it did not leave
    answer: str
    case: str  # whose messages stand together
    case_on: date


@dataclass(frozen=True, slots=True)
class Plan:
    """What a course asks for next, and why."""

    name: str
    what: str
    when: str
    why: tuple[str, ...]
    url: str
    is_running: bool
    course: str = ""


@dataclass(frozen=True, slots=True)
class Beyond:
    """All of it; what the reader may not see is None."""

    visits: tuple[Visit, ...] | None = None
    letters: tuple[Letter, ...] | None = None
    plans: tuple[Plan, ...] | None = None
    visits_url: str = ""
    start_url: str = ""
    coming: tuple[Visit, ...] = field(init=False)  # the next one first

    def __post_init__(self) -> None:
        found = [one for one in self.visits or () if one.is_coming]
        object.__setattr__(self, "coming", tuple(sorted(found, key=lambda one: one.starts_at)))

    @property
    def booked(self) -> tuple[Visit, ...] | None:
        """Return what is to come; None where the reader may not see visits."""
        return None if self.visits is None else self.coming


class Teller(Protocol):
    """A read of the floor above, in a fixed number of statements."""

    def __call__(self, *, patient: Patient, user: User, by: Actor, today: date) -> Beyond: ...


def ask(*, patient: Patient, user: User, by: Actor, today: date) -> Beyond:
    """Return what the floor above tells of a patient to this reader; nothing where the settings name nobody."""
    if not settings.HISTORY_TELLER:
        return Beyond()
    teller = cast("Teller", import_string(settings.HISTORY_TELLER))
    return teller(patient=patient, user=user, by=by, today=today)
