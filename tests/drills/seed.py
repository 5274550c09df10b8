"""Fill a drill's database with a clinic that is open every day until late, and say on standard output how to reach it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import django

ROOMS = 8
PATIENTS = 80


def main() -> None:
    from pain_clinic.accounts import staff
    from pain_clinic.accounts.actors import Actor
    from scheduling.models import Kind
    from tests import factories

    at = datetime.now(UTC)
    site = factories.site(name="Drill site")
    procedure = factories.procedure(
        needs=(("physician", "", ("procedure",)), ("room", "", ("procedure", "turnover"))), steroid="no"
    )
    units = []
    for _ in range(ROOMS):
        pair = [factories.resource(kind=kind, at_site=site) for kind in (Kind.PHYSICIAN, Kind.ROOM)]
        for one in pair:
            factories.weekly_hours(of=one, weekdays=range(7), starts="01:00", ends="23:00")
        factories.privilege(of=pair[0], for_procedure=procedure)
        units.append([str(one.public_id) for one in pair])
    factories.build_free_time(at=at)
    people = [
        factories.patient(home=site, last_name=f"Person{number}", email=f"person{number}@patients.example")
        for number in range(PATIENTS)
    ]
    desk = factories.user(role="desk", username="desk", sites=(site,))
    secret = staff.make_token(user=desk, label="drill", by=Actor.system("drill"), at=at)[1]
    json.dump(
        {
            "site": str(site.public_id),
            "procedure": procedure.code,
            "units": units,
            "patients": [str(one.public_id) for one in people],
            "token": secret,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    django.setup()
    main()
