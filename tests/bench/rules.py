"""Lines of the rules: assessments a second for a patient with 40 past procedures, with the tables and with 500 rows."""

from __future__ import annotations

import time
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from procedures import tables
from procedures.rules import Facts, Request, Session, assess
from procedures.rules.book import TABLES, Book
from procedures.rules.earliest import earliest_covered
from procedures.rules.facts import Coverage, Medication, Score, Wanted
from procedures.rules.offers import TECHNIQUES, TEMPERATURES, bleeding_class
from tests.bench.measuring import Line

ON = date(2027, 3, 9)
WORKS = ("esi_tf_lumbar", "mbb_lumbar", "rfa_facet_lumbar", "tpi", "si_joint_ia", "joint_major")
COUNT, SESSIONS, ROWS = 400, 40, 500
LEAST, LEAST_WITH_MANY = 1000, 500


def session(book: Book, number: int) -> Session:
    """Return one of 40 past procedures of six kinds over three years, with scores and a steroid in every second."""
    offer = book.offers[WORKS[number % len(WORKS)]]
    on = ON - timedelta(days=20 + number * 25)
    after = on + timedelta(days=95)
    scores = (Score(on, Fraction(60), Fraction(55)), Score(after, Fraction(60), Fraction(55)))
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
    wanted = Wanted(
        offer.id, offer.family, "left", levels, offer.default_role, drug=drug, dose_mg=dose, guidance=offer.guidance,
        contrast=offer.contrast_with(offer.guidance), technique=technique, temperature_c=TEMPERATURES.get(technique),
        bleeding_class=bleeding_class(offer, levels, book.offers.values()), category=offer.category, approach=offer.approach,
        codes=offer.codes, driver=offer.driver,
    )  # fmt: skip
    return Facts(
        Request(ON, offer.id, offer.family, "left", levels, several=(wanted,), has_driver=True, place_of_service="11"),
        tuple(session(book, number) for number in range(SESSIONS)), as_of=date(2027, 3, 1), zone=ZoneInfo("America/New_York"),
        coverage=Coverage("medicare_multi_mac_2026", "original_medicare"), conditions=frozenset(), pregnant=False, implants=(),
        medications=(Medication("clopidogrel", date(2027, 3, 1), is_taken=False, is_cleared=True),), allergies=(),
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


def lines(clinic: object = None) -> list[Line]:
    """Return the lines of the rules; they need no clinic."""
    book, many = tables.book_of_files(), many_rows()
    found = [
        rate(f"rules: assess {work}, 40 past procedures", a_second(book, work), LEAST)
        for work in ("esi_tf_lumbar", "mbb_lumbar", "rfa_facet_lumbar")
    ]
    found.append(rate(f"rules: assess esi_tf_lumbar, {ROWS} rows", a_second(many, "esi_tf_lumbar"), LEAST_WITH_MANY))
    return [*found, rate("rules: first covered date", searches_a_second(book), None)]
