"""Who pays for a patient and what was authorised: the page's read, and units drawn down by what was performed.

A unit is one performed procedure. What a payer counts otherwise is told in the note of the authorisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from patients.models import (
    Authorization,
    AuthorizationUse,
    Coverage,
    Decision,
    FactChange,
    Patient,
    PerformedProcedure,
    Role,
)
from patients.recorded import Kind
from procedures import rulebook
from procedures.families import NAMES, name_of
from procedures.models import Procedure
from procedures.rules.book import Book
from procedures.rules.payer.caps import KX_FAMILIES

NO_RULES = "none"
KINDS: dict[str, Kind] = {
    "plans": Kind("plans", Coverage, "plan", "Coverage"),
    "authorizations": Kind("authorizations", Authorization, "authorisation", "Authorisations"),
}


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One plan in words. `is_over`: it does not hold on the day asked about."""

    public_id: UUID
    payer: str
    more: str
    valid: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class HeldLine:
    """One authorisation in words. `left` None is without a number; `fits` says that it may be drawn on that day."""

    public_id: UUID
    number: str
    covers: str
    where: str
    status: str
    label: str
    valid: str
    units: int | None
    left: int | None
    used_on: tuple[date, ...]
    is_usable: bool


@dataclass(frozen=True, slots=True)
class BlockLine:
    """A diagnostic block, and whether it was billed with the KX flag; None is not said, and counts as billed with it."""

    public_id: UUID
    done_on: date
    procedure: str
    where: str
    has_kx: bool | None
    version: int


@dataclass(frozen=True, slots=True)
class Cover:
    """Everything on file about who pays."""

    plans: tuple[PlanLine, ...]
    held: tuple[HeldLine, ...]


def cover(*, patient: Patient, on: date) -> Cover:
    """Return who pays and what is authorised, what holds on a day first, in four statements."""
    book = rulebook.usable_book()
    payers: Mapping[str, str] = book.payer_names if book is not None else {}
    names: Mapping[str, str] = book.names_by_id if book is not None else {}
    plans = list(Coverage.objects.of(patient).order_by("rank", "-recorded_at", "-pk"))
    held = list(Authorization.objects.of(patient).select_related("coverage").order_by("-recorded_at", "-pk"))
    uses: dict[int, list[AuthorizationUse]] = {}
    for use in AuthorizationUse.objects.of(patient).order_by("used_on", "pk"):
        uses.setdefault(use.authorization_id, []).append(use)
    lines = [_held(row, uses.get(row.pk, []), on, names) for row in held]
    return Cover(
        tuple(sorted((_plan(row, on, payers) for row in plans), key=lambda line: line.is_over)),
        tuple(sorted(lines, key=lambda line: not line.is_usable)),
    )


def blocks(*, patient: Patient) -> tuple[BlockLine, ...]:
    """Return the diagnostic blocks of which payers ask whether they were billed with the KX flag, newest first."""
    rows = PerformedProcedure.objects.of(patient).filter(role=Role.DIAGNOSTIC, procedure__family__in=KX_FAMILIES)
    return tuple(
        BlockLine(
            row.public_id, row.done_on, str(row.procedure), ", ".join([*row.levels, *filter(None, [row.side])]), row.has_kx,
            row.version,
        )
        for row in rows.select_related("procedure").order_by("-done_on", "-pk")
    )  # fmt: skip


def has_kx_question(performed: PerformedProcedure) -> bool:
    """Say whether payers ask for the KX flag of what was performed: of diagnostic facet blocks."""
    procedure = performed.procedure
    return performed.role == Role.DIAGNOSTIC and procedure is not None and procedure.family in KX_FAMILIES


def draw_down(*, performed: PerformedProcedure, by: Actor, at: datetime) -> AuthorizationUse | None:
    """Draw one unit of the authorisation that fits what was performed, and say so; None where none fits.

    What is bound to the case comes first, then what ends soonest, then the oldest. Locks the authorisations that may be
    meant. It follows from the completion, so it asks for no permission of its own.
    """
    with transaction.atomic():
        rows = Authorization.objects.of(performed.patient).filter(status=Decision.APPROVED)
        rows = rows.filter(Q(case=None) | Q(case=performed.appointment)).select_for_update(no_key=True, of=("self",))
        book = rulebook.usable_book()
        fitting = [row for row in rows.select_related("coverage").order_by("pk") if fits(row, performed, book)]
        used = units_used(row.pk for row in fitting)
        open_rows = [row for row in fitting if row.units is None or used.get(row.pk, 0) < row.units]
        if not open_rows:
            return None
        chosen = min(open_rows, key=lambda row: (row.case is None, row.valid_until or date.max, row.pk))
        use = AuthorizationUse.objects.create(
            patient=performed.patient, authorization=chosen, performed=performed, units=1, used_on=performed.done_on,
            recorded_at=at, recorded_by_id=by.user_id,
        )  # fmt: skip
        FactChange.objects.create(patient=performed.patient, kind="authorizationuse", at=at)
        trail.record(
            by=by, act="patients.draw_down_authorization", subject=use, patient=performed.patient.public_id,
            site_id=performed.patient.home_site_id,
            details={"authorization": str(chosen.public_id), "performed": str(performed.public_id), "units": 1},
        )  # fmt: skip
    return use


def fits(row: Authorization, performed: PerformedProcedure, book: Book | None) -> bool:
    """Say whether an authorisation (coverage joined) is for what was performed: the work, its codes, its place, and the day.

    Of one word for several families, and of an end that is only counted from the decision, the payer's rules tell.
    """
    procedure = performed.procedure
    if procedure is None or not _is_for(row, procedure, book, performed.done_on):
        return False
    codes = {*procedure.cpt_primary, *procedure.cpt_add_on, *procedure.hcpcs}
    sides = {"left", "right"} if performed.side == "bilateral" else {performed.side}
    allowed = {"left", "right", "bilateral"} if row.side == "bilateral" else {row.side}
    begins, on = row.valid_from or row.decided_on, performed.done_on
    return (
        (not row.codes or bool(codes & set(row.codes)))
        and (not row.side or sides <= allowed)
        and (not row.levels or set(performed.levels) <= set(row.levels))
        and (begins is None or begins <= on)
        and (row.decided_on is None or row.decided_on <= on)
        and on <= (row.valid_until or _counted_end(row, procedure, book, on) or on)
    )


def _is_for(row: Authorization, procedure: Procedure, book: Book | None, on: date) -> bool:
    if row.covers in (procedure.code, procedure.family) or book is None:
        return row.covers in (procedure.code, procedure.family)
    family = book.families_by_id.get(row.covers, row.covers)
    return any({family, procedure.family} <= joined for joined in book.joined_families(row.coverage.payer_rules, on))


def _counted_end(row: Authorization, procedure: Procedure, book: Book | None, on: date) -> date | None:
    if book is None or row.decided_on is None:  # what is approved has a day, says the database
        return None
    days = book.approval_days(row.coverage.payer_rules, procedure.family, on)
    return None if days is None else row.decided_on + timedelta(days=days)


def units_used(rows: Iterable[int]) -> dict[int, int]:
    """Return how many units of some authorisations are used, by key."""
    standing = AuthorizationUse.objects.standing().filter(authorization__in=list(rows))
    sums = standing.values("authorization").annotate(many=Coalesce(Sum("units"), 0)).order_by("authorization")
    return {row["authorization"]: row["many"] for row in sums}


def _plan(row: Coverage, on: date, payers: Mapping[str, str]) -> PlanLine:
    more = [
        row.get_plan_type_display(), _rules_told(row.payer_rules, payers), row.state,
        f"place of service {row.place_of_service}" if row.place_of_service else "",
        f"plan year from {row.year_anchor}" if row.year_anchor else "", "" if row.rank == 1 else f"pays as number {row.rank}",
        row.note,
    ]  # fmt: skip
    begun = row.valid_from is None or row.valid_from <= on
    ended = row.valid_until is not None and row.valid_until < on
    return PlanLine(
        row.public_id, row.payer, ", ".join(filter(None, more)), span(row.valid_from, row.valid_until), ended or not begun
    )


def _rules_told(code: str, payers: Mapping[str, str]) -> str:
    """Return by whose rules a plan is judged, as people say it."""
    return "no payer's rules" if code == NO_RULES else f"rules of {payers.get(code, code)}"


def _covers_told(code: str, names: Mapping[str, str]) -> str:
    """Return what an authorisation is for: a procedure by the name handed in, else a family of them."""
    return names.get(code) or (f"all {name_of(code)}" if code in NAMES else name_of(code))


def _held(row: Authorization, uses: Sequence[AuthorizationUse], on: date, names: Mapping[str, str]) -> HeldLine:
    used = sum(use.units for use in uses)
    left = None if row.units is None else max(row.units - used, 0)
    in_time = (row.valid_until is None or on <= row.valid_until) and (row.valid_from is None or row.valid_from <= on)
    return HeldLine(
        public_id=row.public_id,
        number=row.number,
        covers=_covers_told(row.covers, names),
        where=", ".join(filter(None, [row.side, *row.levels, " ".join(row.codes), row.note])),
        status=row.status,
        label=row.get_status_display(),
        valid=span(row.valid_from or row.decided_on, row.valid_until),
        units=row.units,
        left=left,
        used_on=tuple(use.used_on for use in uses),
        is_usable=row.status == Decision.APPROVED and left != 0 and in_time,
    )


def span(begins: date | None, ends: date | None) -> str:
    """Return a stretch of days in words."""
    if begins is None and ends is None:
        return "no dates"
    if ends is None:
        return f"from {begins}"
    return f"until {ends}" if begins is None else f"{begins} to {ends}"
