"""Lines of the rules: assessments a second for a patient with 40 past procedures, with the tables and with 500 rows."""

from __future__ import annotations

import time
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from django.db import transaction

from patients.facts import read
from patients.models import Coverage, GivenDrug, Patient, PerformedProcedure, Score
from procedures import tables
from procedures.models import Procedure
from procedures.rules import Facts, Request, Session, assess
from procedures.rules import facts as told
from procedures.rules.book import TABLES, Book
from procedures.rules.earliest import earliest_covered
from procedures.rules.offers import TECHNIQUES, TEMPERATURES, bleeding_class
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import rechecking
from scheduling.assessing import Wish, judge
from scheduling.models import BEFORE_ARRIVAL, Appointment
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, line

ON = date(2027, 3, 9)
WORKS = ("esi_tf_lumbar", "mbb_lumbar", "rfa_facet_lumbar", "tpi", "si_joint_ia", "joint_major")
COUNT, SESSIONS, ROWS = 400, 40, 500
READS, NIGHT, WITHIN = 100, 20_000, 300
LEAST, LEAST_WITH_MANY = 1000, 500


def session(book: Book, number: int) -> Session:
    """Return one of 40 past procedures of six kinds over three years, with scores and a steroid in every second."""
    offer = book.offers[WORKS[number % len(WORKS)]]
    on = ON - timedelta(days=20 + number * 25)
    after = on + timedelta(days=95)
    scores = (told.Score(on, Fraction(60), Fraction(55)), told.Score(after, Fraction(60), Fraction(55)))
    return Session(
        on, offer.id, offer.family, "performed", "left", ("L4-L5",) if offer.needs_levels else (), role=offer.default_role,
        approach=offer.approach, drug="dexamethasone" if number % 2 else "", dose_mg=Fraction(4), scores=scores,
    )  # fmt: skip


def patient(book: Book, work: str) -> Facts:
    """Return fresh facts, as a night's re-check reads them: nothing is kept from the patient before."""
    offer = book.offers[work]
    levels = ("L4-L5",) if offer.needs_levels else ()
    drug, dose = offer.default_steroid
    technique = TECHNIQUES.get(offer.family, "")
    wanted = told.Wanted(
        offer.id, offer.family, "left", levels, offer.default_role, drug=drug, dose_mg=dose, guidance=offer.guidance,
        contrast=offer.contrast_with(offer.guidance), technique=technique, temperature_c=TEMPERATURES.get(technique),
        bleeding_class=bleeding_class(offer, levels, book.offers.values()), category=offer.category, approach=offer.approach,
        codes=offer.codes, driver=offer.driver,
    )  # fmt: skip
    return Facts(
        Request(ON, offer.id, offer.family, "left", levels, several=(wanted,), has_driver=True, place_of_service="11"),
        tuple(session(book, number) for number in range(SESSIONS)), as_of=date(2027, 3, 1), zone=ZoneInfo("America/New_York"),
        coverage=told.Coverage("medicare_multi_mac_2026", "original_medicare"), conditions=frozenset(), pregnant=False, implants=(),
        medications=(told.Medication("clopidogrel", date(2027, 3, 1), is_taken=False, is_cleared=True),), allergies=(),
    )  # fmt: skip


def many_rows() -> Book:
    """Return a book of 500 payer rows: the tables' own, and copies of them with other ids under all their sets."""
    content = {name: dict(table.content) for name, table in tables.read(only=TABLES).items()}
    own = content["payer_rules"]["rules"]
    copies = [{**own[number % len(own)], "id": f"copy_{number}", "enabled_by_default": True} for number in range(ROWS - len(own))]
    content["payer_rules"] = {**content["payer_rules"], "rules": [*own, *copies]}
    return Book(content)


def a_second(book: Book, work: str) -> float:
    """Return assessments a second of processor time, facts already built, rules chosen each time."""
    people = [patient(book, work) for _ in range(COUNT)]
    assess(book.rules(people[0], ON), people[0], ON)
    begun = time.process_time()
    for facts in people:
        assess(book.rules(facts, ON), facts, ON)
    return COUNT / (time.process_time() - begun)


def searches_a_second(book: Book) -> float:
    """Return searches for the first covered date a second."""
    people = [patient(book, "esi_tf_lumbar") for _ in range(COUNT // 10)]
    begun = time.process_time()
    for facts in people:
        earliest_covered(lambda on, facts=facts: book.rules(facts, on), facts, ON)  # type: ignore[misc]
    return len(people) / (time.process_time() - begun)


def rate(name: str, value: float, least: float | None) -> Line:
    """Return a line whose target is a rate, judged on this machine."""
    target = f">= {least:g} a second on one core" if least else ""
    return Line(name, value, "1/s", target=target, ok=least is None or value >= least)


def performed(patient: Patient, procedure: Procedure, by: BenchClinic) -> None:
    """Put 40 past procedures on file, each with a steroid and three scores."""
    today = by.site.day_at(by.at)
    rows = PerformedProcedure.objects.bulk_create(
        PerformedProcedure(
            patient=patient, procedure=procedure, site=by.site, side="left", recorded_at=by.at,
            done_on=today - timedelta(days=20 + number * 25),
        )
        for number in range(SESSIONS)
    )  # fmt: skip
    GivenDrug.objects.bulk_create(
        GivenDrug(
            patient=patient,
            performed=row,
            kind="steroid",
            drug="dexamethasone",
            dose_mg=4,
            given_on=row.done_on,
            recorded_at=by.at,
        )
        for row in rows
    )
    Score.objects.bulk_create(
        Score(
            patient=patient, performed=row, measure="nrs", aspect="index", value=value, phase=phase, recorded_at=by.at,
            scored_on=row.done_on + timedelta(days=days),
        )
        for row in rows
        for value, phase, days in ((8, "before", 0), (3, "after", 0), (3, "follow_up", 19))
    )  # fmt: skip


def live(by: BenchClinic) -> list[Line]:
    """Return the lines that read the clinic: everything written for them is undone."""
    found = []
    with transaction.atomic():
        load_rules(tables.read(), RuleReport())
        person = Patient.objects.get(pk=by.patients[0])
        performed(person, by.five, by)
        Coverage.objects.create(
            patient=person, payer="Bench", payer_rules="medicare_multi_mac_2026", plan_type="original_medicare", recorded_at=by.at
        )
        starts_at = by.at + timedelta(days=20)
        wish = Wish(procedure=by.five, site=by.site, starts_at=starts_at, side="left", guidance="fluoroscopy")
        held = read([person])
        known = held.known[person.pk]
        judge(wish, held, known, (), by.at)
        begun = time.process_time()
        for _ in range(COUNT):
            judge(wish, held, known, (), by.at)
        judged = COUNT / (time.process_time() - begun)
        found.append(rate("rules: live assessment, 40 past procedures on file, facts filled each time", judged, None))
        begun = time.perf_counter()
        for _ in range(READS):
            one = read([person])
            judge(wish, one, one.known[person.pk], (), by.at)
        found.append(
            line("rules: read and assess one patient with 40 past procedures", (time.perf_counter() - begun) / READS * 1000, "ms")
        )
        found += night(by)
        transaction.set_rollback(True)
    return found


def night(by: BenchClinic) -> list[Line]:
    """Return how long a night's asking about 20,000 coming cases takes, the first time and again; from fewer, what it would.

    Everybody is covered, so that payers' rules speak too. All batches are of one transaction that is taken back: the commit
    of each is not in the figures.
    """
    covered = {"payer": "Bench", "payer_rules": "medicare_multi_mac_2026", "plan_type": "original_medicare", "recorded_at": by.at}
    Coverage.objects.bulk_create((Coverage(patient_id=pk, **covered) for pk in by.patients[1:]), batch_size=2000)
    coming = Appointment.objects.filter(status__in=BEFORE_ARRIVAL, is_history=False, starts_at__gt=by.at).order_by("pk")
    cases = list(coming.values_list("pk", "patient_id")[:NIGHT])
    found = []
    for name in ("first, all to write down", "nothing new"):
        begun = time.perf_counter()
        for start in range(0, len(cases), rechecking.BATCH):
            batch = cases[start : start + rechecking.BATCH]
            rechecking.recheck([patient for _, patient in batch], at=by.at, cases=[case for case, _ in batch])
        took = time.perf_counter() - begun
        whole = took / max(len(cases), 1) * NIGHT
        how = f"all {NIGHT} of them" if len(cases) == NIGHT else f"told from {len(cases)} of them"
        called = f"rules: a night over {NIGHT} coming cases ({name}), {how}"
        found.append(Line(called, whole, "s", target=f"< {WITHIN} s", ok=whole < WITHIN))
    return found


def lines(clinic: BenchClinic) -> list[Line]:
    """Return the lines of the rules: of the engine alone, and of the clinic."""
    book, many = tables.book_of_files(), many_rows()
    found = [
        rate(f"rules: assess {work}, 40 past procedures", a_second(book, work), LEAST)
        for work in ("esi_tf_lumbar", "mbb_lumbar", "rfa_facet_lumbar")
    ]
    found.append(rate(f"rules: assess esi_tf_lumbar, {ROWS} rows", a_second(many, "esi_tf_lumbar"), LEAST_WITH_MANY))
    return [*found, rate("rules: first covered date", searches_a_second(book), None), *live(clinic)]
