"""What the verbs on resources have in common: their refusals, their locks, what a booked case is told by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from pain_clinic.accounts.models import Site
from pain_clinic.errors import Conflict, DomainError, Refused
from scheduling.models import Appointment, Resource, WeeklyHours

JOINED = ("appointment__patient", "appointment__procedure", "appointment__site")


class Changed(Conflict):
    """Somebody else saved this meanwhile."""

    def __init__(self) -> None:
        super().__init__("stale", "Somebody changed this while you were at it. Look at it again, then save.")


class NameTaken(Refused):
    def __init__(self) -> None:
        super().__init__("name_taken", "There is one of this name already.")


class CasesInTheWay(Refused):
    """Booked cases would be left without this resource; `cases` are theirs, first date first."""

    def __init__(self, cases: Sequence[Appointment]) -> None:
        count = len(cases)
        super().__init__(
            "cases_in_the_way",
            f"{count} booked case{'s' if count != 1 else ''} need{'s' if count == 1 else ''} this time."
            " Move them first, or save anyway and move them afterwards; nobody is told by itself.",
            {"count": count},
        )
        self.cases = tuple(cases)


@dataclass(frozen=True, slots=True)
class Span:
    """Working hours or a break of one weekday (Monday 0), in the site's wall time."""

    weekday: int
    kind: str
    starts: time
    ends: time


def _name_taken() -> DomainError:
    return NameTaken()


CONSTRAINTS = {
    "accounts_site_name_key": _name_taken,
    "accounts_site_slug_key": _name_taken,
    "resource_name_once_per_site": _name_taken,
}


def locked(resource: Resource) -> Resource:
    return Resource.objects.select_for_update(no_key=True).get(pk=resource.pk)


def all_at(site: Site) -> list[int]:
    """Lock every resource that has to do with a site, in key order."""
    own = set(Resource.objects.filter(site=site).values_list("pk", flat=True))
    own |= set(WeeklyHours.objects.filter(site=site).values_list("resource_id", flat=True))
    return list(Resource.objects.filter(pk__in=own).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
