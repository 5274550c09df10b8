"""Fill a drill's database with a clinic that is open every day until late, and say on standard output how to reach it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import django

ROOMS = 8
PATIENTS = 80
LOCKED_OUT = ("desk-cut", "desk-stall")  # who types a wrong password while Redis is away


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
    for name in LOCKED_OUT:
        factories.user(role="desk", username=name, sites=(site,))
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


def add_case() -> None:
    """Add one case that others can be copied from, as `tests.bench.messages.CASES` does."""
    from patients.models import Patient
    from procedures.models import Procedure
    from tests import factories

    who = Patient.objects.order_by("pk").first()
    what = Procedure.objects.order_by("-pk").first()
    if who is None or what is None:
        raise SystemExit("the database was not seeded")
    factories.appointment(
        of=who, at_site=who.home_site, for_procedure=what, starts_at=datetime.now(UTC).replace(second=0, microsecond=0, minute=0)
        + timedelta(days=20),
    )  # fmt: skip


def add_nights(asked: str) -> None:
    """Plan messages at hours of the wall for a visit on each (zone, day), and say the case of each on standard output."""
    from pain_clinic import clock
    from patients.models import Patient
    from procedures.models import Procedure
    from scheduling import messages
    from scheduling.models import CadenceStep
    from tests import factories

    wanted = json.loads(asked)
    CadenceStep.objects.all().delete()
    for wall in wanted["walls"]:
        CadenceStep.objects.create(code=f"at-{wall}", kind="preparation", offset_days=0, at_time=wall)
    what = Procedure.objects.order_by("-pk")[0]
    people = Patient.objects.order_by("pk")[: len(wanted["nights"])]
    made = []
    for number, (who, (zone, day)) in enumerate(zip(people, wanted["nights"], strict=True)):
        site = factories.site(name=f"Night {number}", slug=f"night-{number}", time_zone=zone)
        starts_at = factories.local(date.fromisoformat(day), "15:00", ZoneInfo(zone))
        case = factories.appointment(of=who, at_site=site, for_procedure=what, starts_at=starts_at)
        made.append(str(case.public_id))
    messages.plan_ahead(at=clock.now())
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    django.setup()
    if "case" in sys.argv[1:]:
        add_case()
    elif "nights" in sys.argv[1:]:
        add_nights(sys.argv[2])
    else:
        main()
