"""Building the demo clinic: empty what an earlier one left, write it anew, rebuild free time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Refused
from patients.models import Patient
from procedures import tables
from procedures.models import Procedure
from scheduling import cadence, free_time
from scheduling.demo import clinic as plan
from scheduling.demo.cases import COMPLAINTS
from scheduling.demo.courses import write_courses
from scheduling.demo.coverage import write_coverage
from scheduling.demo.days import Tell, local_date, pack
from scheduling.demo.facts import facts_of, write_facts
from scheduling.demo.histories import write_sessions
from scheduling.demo.people import invent
from scheduling.demo.ready import settle_facts, soon, write_ready
from scheduling.demo.rows import write_cases, write_people
from scheduling.demo.stories import CAST, LAST_NAME, cast_of, pack_stories, tell_facts, write_messages
from scheduling.demo.writing import empty, reserve
from scheduling.models import Resource, Status


class DemoRefused(Refused):
    """The database holds what a demo must not touch."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was made."""

    sites: int
    resources: int
    patients: int
    appointments: int
    ahead: int
    today: int
    allocations: int
    sessions: int = 0

    def summary(self) -> str:
        return (
            f"{plan.NAME}: {self.sites} sites, {self.resources} resources, {self.patients:,} patients, "
            f"{self.appointments:,} appointments ({self.today} today, {self.ahead:,} to come), {self.allocations:,} allocations, "
            f"{self.sessions:,} performed procedures; {len(CAST)} more patients named {LAST_NAME} have a story to read"
        )


def accounts() -> list[str]:
    """Return a line for each demo account that exists."""
    return plan.account_lines()


def build(*, patients: int, seed: int, at: datetime, may_erase: bool = False, tell: Tell = lambda text: None) -> Report:
    """Make the demo clinic anew, in one transaction.

    Raises:
        DemoRefused: in production, or where other than demo data are and nobody said to erase them.
    """
    if settings.CLINIC_MODE == "production":
        raise DemoRefused("demo_in_production", "The demo clinic has public passwords; it is never made in production.")
    others = other_than_demo()
    if others and not may_erase:
        raise DemoRefused(
            "not_only_demo",
            f"This database holds {others}. Nothing was changed. Use another database, or --erase to delete "
            "all patients, appointments and resources in it.",
        )
    at = plan.on_the_wall(at)
    rng = random.Random(seed)  # nosec B311  # noqa: S311  invented people, no secrets
    with transaction.atomic():
        empty(_tables())
        if may_erase:
            _retire_other_sites()
        if not Procedure.objects.exists():
            tables.load(by=Actor.system("demo"), at=at)
        Procedure.objects.filter(is_offered=False, is_retired=False).update(is_offered=True)
        cadence.load_defaults(by=Actor.system("demo"), at=at)
        made = plan.make_clinic(at=at)
        free_time.expand_blocks(at=at)
        tell(f"{len(made.resources)} resources; inventing {patients:,} patients …")
        people = invent(
            count=patients,
            keys=reserve(Patient, patients),
            sites=[site.pk for site in made.sites.values()],
            complaints=[share for share, _ in COMPLAINTS],
            rng=rng,
            at=at,
        )
        home = made.sites[plan.NORTH]
        told = random.Random(seed + 2)  # nosec B311  # noqa: S311  of its own as well
        stories = cast_of(keys=reserve(Patient, len(CAST)), site=home.pk, rng=told, at=at)
        cases = list(
            pack(made, people, rng, at, tell, lambda packer, calendar: pack_stories(stories, packer, calendar, home, at))
        )
        everybody = [*people, *stories.cast]
        tell(f"{len(cases):,} cases packed; writing …")
        write_people(everybody, cases)
        allocations = write_cases(cases, rng, at)
        tell("Writing what was done, and what it brought …")
        own = random.Random(seed + 1)  # nosec B311  # noqa: S311  of its own, so that cases stay as they are
        facts = facts_of(people, own, at)
        tell_facts(stories, facts, told, at)
        settled = random.Random(seed + 3)  # nosec B311  # noqa: S311  of its own too
        near = soon(cases, settled, at)
        settle_facts(near, facts, settled, at)
        write_facts(facts)
        sessions = write_sessions(cases, own, at)
        plans = write_coverage(everybody, cases, own, at)
        write_ready(near, plans, facts, settled, at)
        write_messages(stories, told, at)
        tell("Building free time …")
        free_time.rebuild(at=at)
        tell("Planning courses …")
        write_courses(at, always=stories.keys)
        trail.record(by=Actor.system("demo"), act="scheduling.build_demo", details={"patients": patients, "seed": seed})
    _analyze()
    return Report(
        sites=len(made.sites),
        resources=len(made.resources),
        patients=len(people),
        appointments=len(cases),
        ahead=sum(case.starts_at > at and case.status in {Status.BOOKED, Status.CONFIRMED} for case in cases),
        today=sum(case.day == local_date(case.zone, at) for case in cases),
        allocations=allocations,
        sessions=sessions,
    )


def other_than_demo() -> str:
    """Say in words what the database holds that no demo made; an empty text when there is nothing."""
    slugs = [row[0] for row in plan.SITES]
    counts = (
        (Patient.objects.filter(is_demo=False).count(), "patients who are not the demo's"),
        (Site.objects.exclude(slug__in=slugs).count(), "sites that are not the demo's"),
        (Resource.objects.exclude(site__slug__in=slugs).count(), "resources of other sites"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _tables() -> list[str]:
    """Return every table of patients and scheduling, row history included."""
    return [
        model._meta.db_table
        for app in ("patients", "scheduling")
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]


def _retire_other_sites() -> None:
    """Take other sites out of use; staff and the trail may point at them, so they stay as rows."""
    others = Site.objects.exclude(slug__in=[row[0] for row in plan.SITES])
    others.update(is_active=False)


def _analyze() -> None:
    """Tell the planner what is there now; without it the first searches go wrong ways."""
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")
