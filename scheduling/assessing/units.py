"""The units of authorisations that a patient's other booked cases will use: what is left of them for the case that is judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from procedures.rules import Facts, Session
from procedures.rules.book import Book
from procedures.rules.facts import Authorization


def used_up(facts: Facts, cases: Iterable[tuple[str, Session]], book: Book | None) -> Facts:
    """Return the facts with the units taken that these cases would use; each is a case's public id (empty: none yet) and session.

    As at completion what is bound to a case comes first, then what ends soonest.
    """
    held = sorted(facts.coverage.authorizations, key=lambda one: (not one.case, one.valid_until or date.max))
    if book is None or not any(one.units_left for one in held):
        return facts
    joined = book.joined_families(facts.coverage.payer_rules, facts.request.on)
    for case, session in cases:
        place = next((place for place, one in enumerate(held) if _covers(one, case, session, joined, book)), None)
        if place is not None and held[place].units_left is not None:
            held[place] = replace(held[place], units_left=(held[place].units_left or 0) - 1)
    return replace(facts, coverage=replace(facts.coverage, authorizations=tuple(held)))


def _covers(one: Authorization, case: str, session: Session, joined: tuple[frozenset[str], ...], book: Book) -> bool:
    """Say whether a case would use a unit of an authorisation."""
    offer = book.offers.get(session.procedure)
    names = (session.procedure, session.family)
    return (
        one.status == "approved"
        and one.units_left != 0
        and (one.covers in names or any({one.family, session.family} <= families for families in joined))
        and (not one.case or one.case == case)
        and (not one.codes or offer is None or bool(one.codes & offer.codes))
        and (not one.sides or session.side in one.sides)
        and (not one.levels or set(session.levels) <= one.levels)
        and (one.decided_on is None or one.decided_on <= session.on)
        and (one.valid_from is None or one.valid_from <= session.on)
        and (one.valid_until is None or session.on <= one.valid_until)
    )
