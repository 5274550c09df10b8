"""How the tests of openings ask and book."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scheduling import free_time
from scheduling.models import Resource
from scheduling.openings import OpeningsFound, find_openings
from tests import factories
from tests.factories import NOW, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)


def found(clinic: SmallClinic, **asked: Any) -> OpeningsFound:
    return find_openings(**{"procedure": clinic.procedure, "at": NOW, **asked})


def starts(clinic: SmallClinic, **asked: Any) -> list[datetime]:
    return [opening.starts_at for opening in found(clinic, **asked).openings]


def book(clinic: SmallClinic, clock: str, *resources: Resource, **values: Any) -> Any:
    where = values.pop("at_site", clinic.site)
    who = values.pop("of", None) or factories.patient(home=where)
    made = factories.appointment(
        of=who, at_site=where, for_procedure=clinic.procedure, resources=resources,
        starts_at=values.pop("starts_at", None) or local(TOMORROW, clock), **values,
    )  # fmt: skip
    free_time.rebuild({each.pk: [made.starts_at.date()] for each in resources})
    return made
