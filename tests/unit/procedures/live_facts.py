"""Facts as the live clinic has them, and what the rules say of them: shared by the tests of what written cases cannot say."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from procedures import tables
from procedures.rules import Facts, Finding, Request, Session, assess
from procedures.rules.book import Switches
from procedures.rules.facts import (
    Coverage,
    Wanted,
)
from procedures.rules.offers import bleeding_class

BOOK = tables.book_of_files()
ON = date(2027, 3, 9)
ZONE = ZoneInfo("America/New_York")
MEDICARE = Coverage("medicare_multi_mac_2026", "original_medicare")


def want(procedure: str, **details: Any) -> Wanted:
    offer = BOOK.offers[procedure]
    levels = details.get("levels", ())
    given: dict[str, Any] = {
        "side": "midline", "role": offer.default_role, "guidance": offer.guidance, "driver": offer.driver, "codes": offer.codes,
        "contrast": offer.contrast_with(offer.guidance), "category": offer.category, "approach": offer.approach,
        "bleeding_class": bleeding_class(offer, levels, BOOK.offers.values()), **details,
    }  # fmt: skip
    return Wanted(offer.id, offer.family, **given)


def live(*wanted: Wanted, sessions: tuple[Session, ...] = (), **facts: Any) -> Facts:
    """Return facts as the live clinic has them: what is not given is not on file."""
    request = facts.pop("request", {})
    first = wanted[0]
    asked = Request(ON, first.procedure, first.family, first.side, first.levels, several=wanted, **request)
    return Facts(asked, sessions, **{"as_of": date(2027, 3, 1), "zone": ZONE, "coverage": MEDICARE, **facts})


def judged(facts: Facts, on: date = ON, switches: Switches | None = None) -> dict[str, Finding]:
    rules = BOOK.rules(facts, on, switches) if switches else BOOK.rules(facts, on)
    return {finding.key: finding for finding in assess(rules, facts, on)}


def pending(facts: Facts) -> set[str]:
    return {finding.code for finding in judged(facts).values() if finding.pending}


def refusing(facts: Facts) -> set[str]:
    return {finding.code for finding in judged(facts).values() if finding.refuses}


def extra(**row: Any) -> Switches:
    return Switches(extra=({"enabled_by_default": True, "severity": "deny", "id": "own", **row},))
