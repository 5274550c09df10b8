"""A patient on paper: sessions, scores and the answers that the planner gives along the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from procedures import tables
from procedures.pathways import Aim, Answer, Pathway, next_step
from procedures.rules import Facts, Request, Session
from procedures.rules.book import Book
from procedures.rules.facts import Coverage, Presentation, Score, Wanted
from procedures.rules.offers import TECHNIQUES, TEMPERATURES, bleeding_class
from procedures.tables.courses import shipped_pathways

BOOK: Book = tables.book_of_files()
PATHWAYS = shipped_pathways()
START = date(2026, 3, 2)
LEVELS = ("L4-L5", "L5-S1")
MEDICARE, NOBODY = "medicare_multi_mac_2026", "none"
# Which procedure of the catalogue does each family of the pathways in these tests.
USUAL = {
    "esi": "esi_tf_lumbar", "mbb_diagnostic": "mbb_lumbar", "facet_rfa": "rfa_facet_lumbar", "tpi": "tpi",
    "si_injection": "si_joint_ia", "genicular_block": "genicular_block", "genicular_rfa": "genicular_rfa",
    "sympathetic_block": "stellate_block", "scs_trial": "scs_trial", "scs_trial_followup": "scs_trial_lead_pull",
    "scs_implant": "scs_implant", "facet_injection": "facet_ia_lumbar",
}  # fmt: skip


def wanted(procedure: str, *, side: str = "right", levels: tuple[str, ...] = LEVELS, role: str = "", **details: Any) -> Wanted:
    """Return some work with the catalogue's defaults."""
    offer = BOOK.offers[procedure]
    held = levels if offer.needs_levels else ()
    drug, dose = offer.default_steroid
    technique = TECHNIQUES.get(offer.family, "")
    values: dict[str, Any] = {
        "role": role or offer.default_role, "drug": drug, "dose_mg": dose, "guidance": offer.guidance,
        "contrast": offer.contrast_with(offer.guidance), "technique": technique, "temperature_c": TEMPERATURES.get(technique),
        "bleeding_class": bleeding_class(offer, held, BOOK.offers.values()), "category": offer.category,
        "approach": offer.approach, "codes": offer.codes, "driver": offer.driver,
    }  # fmt: skip
    return Wanted(offer.id, offer.family, side if "midline" not in offer.laterality else "midline", held, **{**values, **details})


def works(pathway: Pathway, **details: Any) -> dict[str, Wanted]:
    """Return what would be done in each step."""
    found = {}
    for step in pathway.steps:
        family = min(step.families, key=lambda one: (one not in USUAL, one))
        found[step.id] = wanted(USUAL[family], role=step.role, **details)
    return found


def scored(*pairs: tuple[date, int]) -> tuple[Score, ...]:
    """Return scores: the day, and by how many percent the pain was better."""
    return tuple(Score(on, Fraction(pct)) for on, pct in pairs)


def session(work: Wanted, on: date, *, scores: tuple[Score, ...] = (), status: str = "performed", **values: Any) -> Session:
    """Return some work as a session."""
    kept: dict[str, Any] = {
        "role": work.role, "approach": work.approach, "site": work.site, "drug": work.drug, "dose_mg": work.dose_mg,
    }  # fmt: skip
    return Session(on, work.procedure, work.family, status, work.side, work.levels, scores=scores, **{**kept, **values})


@dataclass
class Patient:
    """One patient on one pathway, to whom things happen one after another."""

    pathway: Pathway
    aim: Aim
    payer: str = NOBODY
    sessions: list[Session] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def on(
        cls, name: str, *, since: date = START, payer: str = NOBODY, details: dict[str, Any] | None = None, **aim: Any
    ) -> Patient:
        pathway = PATHWAYS[name]
        return cls(pathway, Aim(works(pathway, **(details or {})), since, **aim), payer)

    def known(self, on: date) -> Facts:
        """Return what is known on a day: no score or performed session of a later one."""
        values: dict[str, Any] = {
            "coverage": Coverage(self.payer, "original_medicare"), "presentation": Presentation(), "medications": (),
            "allergies": (), "implants": (), "conditions": frozenset(), "pregnant": False, "has_infection": False, "age": 50,
        }  # fmt: skip
        seen = [
            replace(one, scores=tuple(score for score in one.scores if score.on <= on))
            for one in self.sessions
            if one.status == "booked" or one.on <= on
        ]
        return Facts(
            Request(on, "", "", has_driver=True, place_of_service="11"), tuple(seen), as_of=on, **{**values, **self.facts}
        )

    def ask(self, on: date) -> Answer:
        """Return what comes next as things are known on a day."""
        return next_step(self.pathway, self.known(on), on, aim=self.aim, book=BOOK)

    def has(self, step: str, on: date, *, scores: tuple[Score, ...] = (), **values: Any) -> Session:
        """Let a step be done."""
        work = values.pop("work", self.aim.works[step])
        made = session(work, on, scores=scores, **values)
        self.sessions.append(made)
        return made


def days(count: int) -> timedelta:
    return timedelta(days=count)
