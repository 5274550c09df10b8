"""What is true of the demo's people: medicines, allergies, conditions, implants, results, and what was asked in vain."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pain_clinic.accounts.models import User
from patients.models import Allergy, Asked, Condition, Implant, LabResult, Medication, Topic
from scheduling.demo.histories import RECORDED, recorded
from scheduling.demo.people import KNOWN, Person
from scheduling.demo.writing import copy

THINNERS = (
    ("apixaban", "Apixaban", "5 mg twice a day", "atrial_fibrillation"),
    ("clopidogrel", "Clopidogrel", "75 mg", "coronary_stent"),
    ("aspirin_secondary", "Aspirin", "81 mg", "coronary_disease"),
    ("warfarin", "Warfarin", "by INR", "atrial_fibrillation"),
    ("rivaroxaban", "Rivaroxaban", "20 mg", "venous_thrombosis"),
)
OPIOIDS = (("oxycodone", "Oxycodone", (10, 20, 30, 40)), ("hydrocodone", "Hydrocodone", (10, 20, 30)),
           ("tramadol", "Tramadol", (100, 200)), ("morphine", "Morphine", (15, 30, 60)))  # fmt: skip
OTHERS = (("Gabapentin", "300 mg three times a day"), ("Duloxetine", "60 mg"), ("Ibuprofen", "400 mg when needed"),
          ("Lisinopril", "10 mg"), ("Metformin", "500 mg twice a day"), ("Levothyroxine", "50 micrograms"))  # fmt: skip
ALLERGIES = (
    ("other", "Penicillin", 8),
    ("iodinated_contrast", "", 3),
    ("latex", "", 2),
    ("adhesive", "", 2),
    ("antiseptic", "Chlorhexidine", 1),
)
WITH_A_THINNER = ("Carter", date(1949, 7, 24))  # of the known people, the one with something that can hurt
MEDICINE = ("kind", "drug", "name", "dose", "daily_amount", "indication", "prescriber", "prescriber_contact", "started_on",
            "last_dose_at", "stopped_on")  # fmt: skip


@dataclass(slots=True)
class Written:
    """Rows by table, gathered for one copy each."""

    medicines: list[tuple[Any, ...]] = field(default_factory=list)
    allergies: list[tuple[Any, ...]] = field(default_factory=list)
    conditions: list[tuple[Any, ...]] = field(default_factory=list)
    implants: list[tuple[Any, ...]] = field(default_factory=list)
    labs: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    unasked: dict[int, list[str]] = field(default_factory=dict)  # what nobody has asked yet and is nothing, by person


def facts_of(people: Sequence[Person], rng: random.Random, at: datetime) -> Written:
    """Return what is known about each person; what was asked and not found is told too."""
    nurse = User.objects.get(username="nurse").pk
    rows = Written()
    known = {(last, born) for _, last, born, _ in KNOWN}
    for person in people:
        name = (person.last_name, person.birth_date)
        is_plain = name in known and name != WITH_A_THINNER
        _one(person, rows, rng, at, nurse, is_plain=is_plain, has_thinner=name == WITH_A_THINNER)
    return rows


def write_facts(rows: Written) -> None:
    """Write all of it, one copy a table."""
    own = RECORDED[1:]
    copy(Medication, (*own, *MEDICINE), rows.medicines)
    copy(Allergy, (*own, "agent", "name", "severity"), rows.allergies)
    copy(Condition, (*own, "kind", "name", "icd10", "began_on", "ended_on", "antibiotics_until"), rows.conditions)
    copy(Implant, (*own, "device", "name", "placed_on", "removed_on", "is_after_acs", "has_plan"), rows.implants)
    copy(LabResult, (*own, "test", "value", "taken_on"), rows.labs)
    copy(Asked, (*own, "topic", "asked_on"), rows.asked)


def _one(
    person: Person, rows: Written, rng: random.Random, at: datetime, nurse: int, *, is_plain: bool, has_thinner: bool
) -> None:
    seen_on = max(person.since.date(), at.date() - timedelta(days=rng.randrange(5, 200)))
    told = datetime.combine(seen_on, person.since.timetz())

    def row(*values: Any) -> tuple[Any, ...]:
        return (*recorded(person.key, min(told, at), nurse, rng), *values)

    age = (at.date() - person.birth_date).days / 365.25
    nothing = {
        Topic.ANTITHROMBOTICS, Topic.ALLERGIES, Topic.CONDITIONS, Topic.IMPLANTS, Topic.INFECTION, Topic.VACCINES, Topic.GLP1,
    }  # fmt: skip
    if person.sex == "female" and age < 52:
        nothing.add(Topic.PREGNANCY)
    long_ago = seen_on - timedelta(days=rng.randrange(200, 2500))
    if has_thinner or (not is_plain and rng.random() < (0.22 if age > 65 else 0.05)):
        drug, name, dose, why = THINNERS[0] if has_thinner else rng.choices(THINNERS, (6, 3, 6, 2, 3))[0]
        rows.medicines.append(row("antithrombotic", drug, name, dose, None, why, "Dr. R. Vance", "", long_ago, None, None))
        nothing.discard(Topic.ANTITHROMBOTICS)
        if drug == "warfarin":
            rows.labs.append(row("inr", round(rng.uniform(1.9, 3.1), 1), seen_on))
    if rng.random() < 0.3:
        rows.medicines += [row(*values) for values in _opioid(seen_on, long_ago, rng)]
    for name, dose in rng.sample(OTHERS, rng.choice((0, 1, 1, 2, 3))):
        rows.medicines.append(row("other", "", name, dose, None, "", "", "", long_ago, None, None))
    if has_thinner or (not is_plain and rng.random() < 0.13):
        agent, name, _ = ALLERGIES[1] if has_thinner else rng.choices(ALLERGIES, [weight for *_, weight in ALLERGIES])[0]
        rows.allergies.append(row(agent, name, rng.choice(("mild", "moderate", "unknown"))))
        nothing.discard(Topic.ALLERGIES)
    if not is_plain and rng.random() < (0.2 if age > 55 else 0.07):
        rows.conditions.append(row("diabetes", "Type 2 diabetes", "E11.9", long_ago, None, None))
        rows.labs.append(row("hba1c", round(rng.gauss(7.1, 0.7), 1), seen_on))
    if not is_plain and person.sex == "female" and age > 62 and rng.random() < 0.15:
        rows.conditions.append(row("osteoporosis", "", "M81.0", long_ago, None, None))
    if not is_plain and age > 60 and rng.random() < 0.04:
        rows.implants.append(row("pacemaker", "", long_ago, None, None, rng.random() < 0.5))
        nothing.discard(Topic.IMPLANTS)
    # One in seven was never asked: unknown is not the same as nothing.
    if is_plain or rng.random() < 0.86:
        rows.asked += [row(topic, seen_on) for topic in sorted(nothing)]
    else:
        rows.unasked[person.key] = sorted(nothing)


def _opioid(seen_on: date, long_ago: date, rng: random.Random) -> Iterator[tuple[Any, ...]]:
    """Yield an opioid as it was taken; in a third of the people it was brought down since."""
    drug, name, amounts = rng.choice(OPIOIDS)
    amount = rng.choice(amounts)
    changed = seen_on - timedelta(days=rng.randrange(20, 180))
    is_less = rng.random() < 0.34 and long_ago < changed

    def row(daily: float, started: date, stopped: date | None) -> tuple[Any, ...]:
        return ("opioid", drug, name, f"{daily:g} mg a day", daily, "", "", "", started, None, stopped)

    yield row(amount, long_ago, changed if is_less else None)
    if is_less and rng.random() < 0.7:
        yield row(amount / 2, changed, None)
