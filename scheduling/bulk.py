"""Book many rows of the worklist: first as a dry run that shows what would be booked where, then each row for itself."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pain_clinic import keys
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError, Forbidden, retried
from procedures.models import Procedure
from procedures.rules import Finding
from scheduling import booking, openings
from scheduling.availability import Opening
from scheduling.booking import SlotTaken
from scheduling.courses import NothingPlanned, book_next
from scheduling.courses.fulfilling import what
from scheduling.courses.judging import World, read_world
from scheduling.courses.offering import by_the_rules, clashes, look, parts_of, ranked, still_free, units_of
from scheduling.courses.siblings import Sibling, sibling_of
from scheduling.courses.words import must_work
from scheduling.models import CourseStatus, PlannedSession, PlanState

MOST_ROWS = 25
TRIES = 4  # openings of one row that are judged before it is left to a person
STARTS, GRID = 12, 30  # a day, where what was found is taken by rows above
WITHOUT_REMOVAL = "trial_without_removal"  # said of a trial looked at alone; both are booked together


@dataclass(frozen=True, slots=True)
class Tried:
    """What would become of one row: the opening it would be booked at, or why not."""

    planned: PlannedSession
    opening: Mapping[str, Any] | None = None
    waits: tuple[Finding, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row to be booked, at the opening that the dry run showed."""

    planned: PlannedSession
    opening: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row: its case, or the refusal."""

    planned: PlannedSession
    case: UUID | None = None
    refusal: DomainError | None = None


def rehearse(*, planned: Sequence[PlannedSession], by: Actor, at: datetime) -> tuple[Tried, ...]:
    """Return what would be booked where for these rows, no two at one place, and what not and why. Writes nothing but that.

    The rows have course, patient, site, physician and found openings joined; the first of them choose first.

    Raises:
        Forbidden: the actor may not work on the worklist or not book.
    """
    _must(by)
    world = read_world([row.course for row in planned], at=at) if planned else None
    free = still_free(planned)
    taken: list[Mapping[str, Any]] = []
    beside: dict[int, list[Sibling]] = defaultdict(list)  # by patient: what its rows above would be booked at
    found: list[Tried] = []
    for row in planned:
        assert world is not None
        held = beside[row.course.patient_id]
        one = _tried(row, free.get(row.pk, []), taken, held, world, by, at)
        if one.opening is not None:
            taken += parts_of(one.opening)
            sibling = sibling_of(row, one.opening, world)
            held += [sibling] if sibling is not None else []
        found.append(one)
    trail.record(
        by=by, act="scheduling.rehearse_bulk",
        details={"rows": len(found), "bookable": sum(one.opening is not None for one in found)},
    )  # fmt: skip
    return tuple(found)


def book(*, wanted: Sequence[Wanted], key: str, by: Actor, at: datetime) -> tuple[Result, ...]:
    """Book rows, each in a transaction of its own and once per request key, and return what became of each.

    Raises:
        Forbidden: the actor may not work on the worklist or not book.
    """
    _must(by)
    return tuple(_book_one(one, key, by, at) for one in wanted)


def _must(by: Actor) -> None:
    must_work(by)
    if not by.may("scheduling.book_appointment"):
        raise Forbidden("not_allowed", "You may not book.")


def _tried(
    row: PlannedSession,
    free: Sequence[Mapping[str, Any]],
    taken: Sequence[Mapping[str, Any]],
    beside: Sequence[Sibling],
    world: World,
    by: Actor,
    at: datetime,
) -> Tried:
    if row.state != PlanState.PROPOSED or row.appointment_id is not None or row.course.status != CourseStatus.ACTIVE:
        return Tried(row, why_not=NothingPlanned().message)
    why, tries = "", 0
    for packed in _choices(row, free, beside, world, at):
        if any(_meet(part, other) for part in parts_of(packed) for other in taken):
            continue
        try:
            findings = _previewed(row, packed, by, at)
        except SlotTaken:
            continue
        standing = [one for one in findings if one.refuses]
        if not standing:
            return Tried(row, packed, tuple(one for one in findings if one.pending))
        why = why or " ".join(dict.fromkeys(one.message for one in standing))
        tries += 1
        if tries == TRIES:
            break
    return Tried(row, why_not=why or "No opening within its window is left beside the rows above.")


def _choices(
    row: PlannedSession, free: Sequence[Mapping[str, Any]], beside: Sequence[Sibling], world: World, at: datetime
) -> Iterator[Mapping[str, Any]]:
    """Yield the openings found ahead, then further ones; none that the rules refuse beside the patient's rows above."""
    if beside and row.step in row.course.works and row.course.pathway in world.pathways:
        is_open, zone = by_the_rules(row, row.course, world, at, beside), ZoneInfo(row.course.site.time_zone)
        yield from (
            one
            for one in free
            if is_open(datetime.fromisoformat(one["starts_at"]).astimezone(zone).date())
            and not any(sibling.overlaps(part) for sibling in beside for part in parts_of(one))
        )
    else:
        yield from free
    if row.procedure not in world.procedures or row.earliest is None or row.latest is None:
        return
    yield from ranked(row, world, look(row, world, at=at, per_day=STARTS, grid_minutes=GRID), at=at, beside=beside)


def _meet(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two openings use one person or thing at one time."""
    starts, ends = (datetime.fromisoformat(other[name]) for name in ("arrives_at", "leaves_at"))
    return any(clashes(one, unit, starts, ends) for unit in units_of(other))


def _previewed(row: PlannedSession, packed: Mapping[str, Any], by: Actor, at: datetime) -> tuple[Finding, ...]:
    """Return what booking says of a row at an opening.

    Raises:
        SlotTaken: it is no longer free.
    """
    found: list[Finding] = []
    if row.companion is not None and packed.get("removal"):
        found += _preview(row, str(row.companion["procedure"]), row.course.side, packed["removal"], by, at)
    found += _preview(row, row.procedure, row.side, packed, by, at)
    return tuple(one for one in found if row.companion is None or one.code != WITHOUT_REMOVAL)


def _preview(
    row: PlannedSession, code: str, side: str, packed: Mapping[str, Any], by: Actor, at: datetime
) -> tuple[Finding, ...]:
    procedure, target = what(row, row.course, code, side)
    return booking.preview(
        patient=row.course.patient, procedure=procedure, target=target, opening=fitting(row, procedure, packed, at), by=by, at=at
    )


def fitting(row: PlannedSession, procedure: Procedure, packed: Mapping[str, Any], at: datetime) -> Opening:
    """Return an opening kept as plain data as it is now.

    Raises:
        SlotTaken: it is no longer free.
    """
    fit = openings.fit(
        procedure=procedure, starts_at=datetime.fromisoformat(packed["starts_at"]), site=row.course.site, at=at,
        units=units_of(packed), patient=row.course.patient, options=openings.Options(sedation=procedure.planned_sedation),
    )  # fmt: skip
    if fit.opening is None:
        raise SlotTaken
    return fit.opening


def _still_stands(row: PlannedSession) -> bool:
    return PlannedSession.objects.filter(pk=row.pk, is_current=True, state=PlanState.PROPOSED, appointment=None).exists()


def _book_one(one: Wanted, key: str, by: Actor, at: datetime) -> Result:
    row = one.planned
    digest = hashlib.sha256(repr(sorted(one.opening.items())).encode()).hexdigest()
    own_key = hashlib.sha256(f"{key}:{row.public_id}".encode()).hexdigest()

    def produce() -> keys.Answer:
        if not _still_stands(row):  # said before its place is looked at, which its own case may have taken
            raise NothingPlanned
        opening = fitting(row, Procedure.objects.get(code=row.procedure), one.opening, at)
        companion = None
        if row.companion is not None and one.opening.get("removal"):
            removal = Procedure.objects.get(code=row.companion["procedure"])
            companion = fitting(row, removal, one.opening["removal"], at)
        case = book_next(planned=row, opening=opening, companion=companion, by=by, at=at)
        return keys.Answer(status=303, text=str(case.public_id))

    def carry_out() -> keys.Answer:
        return keys.once(by=by, verb="scheduling.bulk_book", key=own_key, body_hash=digest, produce=produce, at=at)

    try:
        return Result(row, case=UUID(retried(carry_out).text))
    except DomainError as error:
        return Result(row, refusal=error)
