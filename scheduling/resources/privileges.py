"""What a physician may perform: under which guidance, in which time of their own, from when until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Refused, translated
from procedures.guidance import usual
from procedures.models import Procedure
from scheduling.models import Allocation, Appointment, Kind, Privilege, Resource
from scheduling.resources.shared import JOINED, CasesInTheWay, Changed, locked, mark_of

NOT_HELD = mark_of(None)


class NotAPhysician(Refused):
    def __init__(self) -> None:
        super().__init__("not_a_physician", "Only physicians hold privileges.")


@dataclass(frozen=True, slots=True)
class Terms:
    """Within what a privilege holds. No modalities: every one; no minutes: the catalogue's; both days inclusive."""

    modalities: tuple[str, ...] = ()
    procedure_minutes: int | None = None
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def version(self) -> str:
        """Return what tells these terms from others."""
        return mark_of(sorted(self.modalities), self.procedure_minutes, self.valid_from, self.valid_until)

    def allow(self, on: date, guidance: str) -> bool:
        return (
            (self.valid_from is None or self.valid_from <= on)
            and (self.valid_until is None or on <= self.valid_until)
            and (not self.modalities or guidance in self.modalities)
        )


def terms_of(row: Privilege) -> Terms:
    """Return within what a privilege holds."""
    return Terms(tuple(row.modalities), row.procedure_minutes, row.valid_from, row.valid_until)


def save_privilege(
    *,
    resource: Resource,
    procedure: Procedure,
    terms: Terms,
    by: Actor,
    at: datetime,
    version: str | None = None,
    is_accepted: bool = False,
) -> Resource:
    """Give a physician the privilege for a procedure, or change within what it holds. Booked cases keep their lengths.

    Raises:
        NotAPhysician: the resource is none.
        Changed: the privilege is no longer at `version`.
        CasesInTheWay: booked cases would no longer be allowed, and that was not accepted. They stay booked either way.
    """
    with translated(), transaction.atomic():
        kept, row = _held(resource, procedure, version)
        before = terms_of(row) if row is not None else None
        count = _asked_about(kept, procedure, before, terms, at, is_accepted=is_accepted)
        if row is None:
            _count_up(kept)
        saved = row if row is not None else Privilege(resource=kept, procedure=procedure)
        saved.modalities = list(terms.modalities)
        saved.procedure_minutes = terms.procedure_minutes
        saved.valid_from, saved.valid_until = terms.valid_from, terms.valid_until
        saved.save()
        _record(kept, procedure, "scheduling.save_privilege", count, by=by, reason_code="new" if row is None else "")
        return kept


def remove_privilege(
    *,
    resource: Resource,
    procedure: Procedure,
    by: Actor,
    at: datetime,
    version: str | None = None,
    is_accepted: bool = False,
) -> Resource:
    """Take a privilege away; doing it twice changes nothing.

    Raises:
        NotAPhysician, Changed, CasesInTheWay: as `save_privilege`.
    """
    with translated(), transaction.atomic():
        kept, row = _held(resource, procedure, version)
        if row is None:
            return kept
        count = _asked_about(kept, procedure, terms_of(row), None, at, is_accepted=is_accepted)
        _count_up(kept)
        row.delete()  # the row history keeps it
        _record(kept, procedure, "scheduling.remove_privilege", count, by=by)
        return kept


def _held(resource: Resource, procedure: Procedure, version: str | None) -> tuple[Resource, Privilege | None]:
    """Return the locked physician and the privilege, at the version that was seen."""
    kept = locked(resource)
    if kept.kind != Kind.PHYSICIAN:
        raise NotAPhysician
    row = Privilege.objects.filter(resource=kept, procedure=procedure).first()
    if version is not None and version != (terms_of(row).version if row is not None else NOT_HELD):
        raise Changed
    return kept, row


def _count_up(resource: Resource) -> None:
    """Make the form that ticks all privileges stale: it would take a new one away and give a taken one back."""
    resource.version += 1
    resource.save(update_fields=["version"])


def _asked_about(
    resource: Resource, procedure: Procedure, before: Terms | None, after: Terms | None, at: datetime, *, is_accepted: bool
) -> int:
    """Return how many coming cases were allowed and would no longer be."""
    if before is None:
        return 0
    rows = Allocation.objects.filter(
        resource=resource, released_at=None, appointment__procedure=procedure, appointment__starts_at__gte=at
    )
    left: dict[int, Appointment] = {}
    for row in rows.select_related(*JOINED).order_by("starts_at", "pk"):
        case = row.appointment
        if case is not None:
            guidance = case.guidance or usual(procedure)
            if before.allow(case.local_date, guidance) and not (after is not None and after.allow(case.local_date, guidance)):
                left.setdefault(case.pk, case)
    if left and not is_accepted:
        raise CasesInTheWay(list(left.values()), one="would no longer be allowed", many="would no longer be allowed")
    return len(left)


def _record(resource: Resource, procedure: Procedure, act: str, count: int, *, by: Actor, reason_code: str = "") -> None:
    details = {"procedure": str(procedure.public_id), "cases_in_the_way": count}
    trail.record(by=by, act=act, subject=resource, site_id=resource.site_id, reason_code=reason_code, details=details)
