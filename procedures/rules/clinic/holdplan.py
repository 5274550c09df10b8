"""The hold plan of a patient for one slot: for each blood thinner the last dose before it and the restart after it.

It tells the clinic and, once the prescriber has agreed, the patient. It decides nothing: where the table leaves it to people,
the plan has no times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from procedures.rules.clinic.antithrombotics import Antithrombotics, waits_for_leads
from procedures.rules.facts import Facts, Medication
from procedures.rules.findings import Moment

HOLD, DECISION = "hold", "shared_decision"


@dataclass(frozen=True, slots=True)
class Held:
    """What the table says of one medicine for this slot, and what the prescriber has said.

    `last_dose` is the latest day or wall-clock moment on which it may be taken; `restart` the first one after. Both None where
    people decide. `is_agreed` None: nobody has answered yet for these times, or decided for this slot; `cleared_for` are then the
    other times, if any, to which the prescriber agreed before the slot moved. `notes` are what the table says in words beside
    its figures. `is_by_hour`: the row counts in hours, so that a decision is not for another hour of its day.
    """

    drug: str
    name: str
    action: str
    bleeding_class: str
    length: str = ""
    last_dose: Moment = None
    restart: Moment = None
    waits_for_leads: bool = False
    is_agreed: bool | None = None
    source: str = ""
    cleared_for: tuple[Moment, Moment] | None = None
    notes: tuple[str, ...] = ()
    is_by_hour: bool = False

    @property
    def needs_word(self) -> bool:
        """Say whether the prescriber has to be asked: to hold it, or to decide together."""
        return self.action in (HOLD, DECISION)


def hold_plan(thinners: Antithrombotics, facts: Facts, on: date) -> tuple[Held, ...]:
    """Return the plan for what the patient is known to take, in the order in which it is on file."""
    bleeding = thinners.bleeding_class(facts)
    return tuple(_of(thinners, taken, bleeding, facts, on) for taken in facts.medications or () if taken.drug in thinners.drugs)


def _of(thinners: Antithrombotics, taken: Medication, bleeding: str, facts: Facts, on: date) -> Held:
    drug, hold = thinners.ruling(taken, bleeding, facts)
    notes = thinners.notes(taken, bleeding, facts)
    if hold.action != HOLD:
        word = thinners.is_decided(taken, hold, facts, on) if hold.action == DECISION else taken.is_cleared
        return Held(
            taken.drug, drug.name, hold.action, bleeding, is_agreed=word, source=drug.source, notes=notes,
            is_by_hour=hold.is_by_hour,
        )  # fmt: skip
    last, restart = thinners.times(drug, hold, bleeding, facts, on)
    word = thinners.is_cleared(drug, taken, hold, bleeding, facts, on)
    is_other = word is None and bool(taken.is_cleared)
    return Held(
        taken.drug, drug.name, HOLD, bleeding, hold.told(), last, restart, waits_for_leads(facts), word, drug.source,
        taken.cleared_for if is_other else None, notes, hold.is_by_hour,
    )  # fmt: skip
