"""Read: the hold plan of a case as clinic and patient see it, computed for the slot that the case has now.

The patient is told a time only when the prescriber of every medicine that is held has agreed for this case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from pain_clinic.errors import DomainError
from patients.facts import read
from patients.models import Answer, Clearance, ClearanceKind, Medication, MedicineKind
from procedures.rules.clinic.antithrombotics import is_for_another
from procedures.rules.clinic.holdplan import HOLD, Held, hold_plan
from procedures.rules.dates import day_end, instant, wall_clock
from scheduling.assessing import asking_of, facts_for, wish_of
from scheduling.models import BEFORE_ARRIVAL, Appointment

log = structlog.get_logger(__name__)
Breaks = tuple[type[Exception], ...]
ANY: Breaks = (Exception,)
SOURCE = Path(__file__).parent / "data" / "clearance.typ"
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One medicine of the plan with its row on file and the newest word of its prescriber for this case."""

    held: Held
    medication: Medication
    clearance: Clearance | None
    zone: ZoneInfo
    starts_at: datetime

    @property
    def times(self) -> dict[str, Any]:
        """Return last dose and restart as a clearance keeps them; what people decide on together has none, but its slot."""
        if self.kind != ClearanceKind.HOLD:
            return {"has_times": False, "last_dose": "", "restart": "", "decided_for": self.starts_at}
        last, restart = (_written(moment, self.zone) for moment in (self.held.last_dose, self.held.restart))
        return {"has_times": True, "last_dose": last, "restart": restart, "decided_for": None}

    @property
    def is_for_others(self) -> bool:
        """Say whether the newest word, or the question, is about other times than the slot has now; as the rules say it."""
        word = self.clearance
        if word is not None and word.decided_for is not None:
            return is_for_another(word.decided_for, self.starts_at, self.zone, is_by_hour=self.held.is_by_hour)
        return word is not None and word.has_times and any(getattr(word, name) != held for name, held in self.times.items())

    @property
    def decided_for(self) -> datetime | None:
        """Return the slot for which it was decided together, or asked, on the wall clock; None where no word names one."""
        moment = None if self.clearance is None else self.clearance.decided_for
        return None if moment is None else moment.astimezone(self.zone)

    @property
    def is_for_this_day(self) -> bool:
        """Say whether it was decided together, or asked, for the day of the case, whatever the hour."""
        return self.decided_for is not None and self.decided_for.date() == self.starts_at.astimezone(self.zone).date()

    @property
    def is_old_decision(self) -> bool:
        """Say whether it was decided together, and for another slot than the case has now: the rules take it no more."""
        return self.decided_for is not None and self.is_for_others and self.clearance is not None and self.clearance.is_given

    @property
    def is_confirmed(self) -> bool:
        """Say whether it was decided together for another slot, and confirmed for the one that the case has now."""
        word = self.clearance
        return word is not None and word.is_given and word.confirmed_on is not None and not self.is_for_others

    @property
    def is_asked(self) -> bool:
        """Say whether the prescriber was asked about the times of this slot and has not answered yet."""
        return self.clearance is not None and self.clearance.answer == Answer.ASKED and not self.is_for_others

    @property
    def begins_at(self) -> datetime | None:
        """Return when the hold to which the prescriber agreed for this slot has begun; None where there is no such word."""
        word, last = self.clearance, self.held.last_dose
        if word is None or word.case is None or not word.has_times or not self.held.is_agreed or last is None:
            return None
        return instant(last if isinstance(last, datetime) else day_end(last), self.zone)

    @property
    def word_for(self) -> tuple[date | datetime | None, date | datetime | None]:
        """Return last dose and restart of which the newest word speaks, on the wall clock."""
        word = self.clearance
        return (None, None) if word is None else (_read(word.last_dose, self.zone), _read(word.restart, self.zone))

    @property
    def kind(self) -> ClearanceKind:
        """Return what the prescriber is asked."""
        return ClearanceKind.HOLD if self.held.action == HOLD else ClearanceKind.DECISION


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a case. `is_asked` says that somebody has asked about blood thinners at all.

    `unknown` are those that the patient takes and the clinic's table does not know on that day: of them it plans nothing.
    `is_readable` is no while the clinic's tables cannot be read: then there is no plan, and nobody knows whether there was one.
    """

    lines: tuple[Line, ...]
    is_asked: bool
    unknown: tuple[str, ...] = ()
    is_readable: bool = True

    @property
    def is_cleared(self) -> bool:
        """Say whether something is held and each word needed is a yes; never beside a medicine that nobody planned for."""
        if self.unknown:
            return False
        needed = [line for line in self.lines if line.held.needs_word]
        return any(line.held.action == HOLD for line in needed) and all(line.held.is_agreed for line in needed)


def plan_of(*, case: Appointment, at: datetime) -> Plan:
    """Return the plan of a case (patient, procedure, site joined) for the time that it has now.

    Raises:
        RulesNotAsked: the rules break down on what is on file: then nobody knows the plan.
    """
    with asking_of(case):
        return _computed(case, at)


def _computed(case: Appointment, at: datetime) -> Plan:
    reading = read([case.patient])
    if reading.book is None:
        return Plan((), False, is_readable=False)
    facts = facts_for(wish_of(case), reading, reading.known[case.patient_id], (), at)
    rows: dict[str, Medication] = {}
    medicines = Medication.objects.of(case.patient).filter(kind=MedicineKind.ANTITHROMBOTIC)
    for row in medicines.order_by("pk"):
        rows[row.drug] = row
    words: dict[tuple[int, str], Clearance] = {}
    for word in (
        Clearance.objects.of(case.patient)
        .select_related("recorded_by")
        .filter(medication__in=[row.pk for row in rows.values()])
        .order_by("pk")
    ):
        if word.case in (None, case.public_id):
            words[word.medication_id, word.kind] = word
    lines, zone = [], ZoneInfo(case.site.time_zone)
    thinners = reading.book.thinners_on(facts.request.on)
    for held in hold_plan(thinners, facts, facts.request.on):
        kind = ClearanceKind.HOLD if held.action == HOLD else ClearanceKind.DECISION
        lines.append(Line(held, rows[held.drug], words.get((rows[held.drug].pk, kind)), zone, case.starts_at))
    unknown = tuple(one.drug for one in facts.medications or () if one.drug not in thinners.drugs)
    return Plan(tuple(lines), facts.medications is not None, unknown)


def _written(moment: date | datetime | None, zone: ZoneInfo) -> str:
    """Return a day as it is, a moment on the wall clock as the instant that it is."""
    return instant(moment, zone).isoformat() if isinstance(moment, datetime) else moment.isoformat() if moment else ""


def _read(written: str, zone: ZoneInfo) -> date | datetime | None:
    if len(written) <= 10:
        return date.fromisoformat(written) if written else None
    return wall_clock(datetime.fromisoformat(written), zone)


class NotKnown(Exception):
    """Nobody knows now whether the plan stands: the rules break down on what is on file, or cannot be read."""


def told_to_patient(*, case: Appointment, at: datetime, broken_by: Breaks = ANY) -> tuple[Held, ...]:
    """Return what the patient may be told now: the medicines held, once every prescriber agreed; else nothing.

    Nothing, too, while nobody knows whether the plan stands. `broken_by` is as for `told_for_certain`.
    """
    try:
        return told_for_certain(case=case, at=at, broken_by=broken_by)
    except NotKnown:  # a page that says "call us" is better than none
        return ()


def told_for_certain(*, case: Appointment, at: datetime, broken_by: Breaks = ANY) -> tuple[Held, ...]:
    """Return what the patient may be told now; nothing means that there is nothing to tell.

    `broken_by` is what says that the rules break down on this plan; whose caller has a time limit to keep lets all else rise.

    Raises:
        NotKnown: nobody knows.
    """
    if case.status not in BEFORE_ARRIVAL:
        return ()
    try:
        with transaction.atomic():
            plan = _computed(case, at)
    except (DomainError, DatabaseError):
        raise
    except broken_by as error:
        log.error("plan_broke_down", case=str(case.public_id), exc_info=error)
        raise NotKnown from error
    if not plan.is_readable:
        raise NotKnown
    return tuple(line.held for line in plan.lines if line.held.action == HOLD) if plan.is_cleared else ()


def clearance_letter(*, case: Appointment, line: Line, at: datetime) -> dict[str, Any]:
    """Return what the letter to the prescriber of one medicine says, as texts."""
    zone, held, medicine, patient = ZoneInfo(case.site.time_zone), line.held, line.medication, case.patient
    starts = case.starts_at.astimezone(zone)
    is_hold = held.action == HOLD
    return {
        "title": f"Before a procedure: may {held.name} be held?" if is_hold else f"Before a procedure: {held.name}",
        "clinic": settings.CLINIC_NAME,
        "address": ", ".join(part for part in (case.site.name, case.site.address) if part),
        "phone": case.site.phone,
        "today": told(at.astimezone(zone).date()),
        "prescriber": medicine.prescriber or "To the prescriber",
        "contact": medicine.prescriber_contact,
        "patient": f"{patient.first_name} {patient.last_name}",
        "born": told(patient.birth_date),
        "drug": held.name,
        "dose": medicine.dose,
        "indication": medicine.indication.replace("_", " "),
        "procedure": case.procedure.name,
        "place": ", ".join(part for part in (*case.levels, case.side) if part),
        "day": told(starts.date()),
        "time": starts.strftime("%H:%M"),
        "bleeding": held.bleeding_class,
        "is_hold": is_hold,
        "length": held.length,
        "last": told(held.last_dose),
        "restart": told(held.restart),
        "waits_for_leads": held.waits_for_leads,
        "notes": list(held.notes),
        "source": held.source,
    }


def told(moment: date | datetime | None) -> str:
    """Return a day, or a day and a wall-clock time, as a letter writes it."""
    if moment is None:
        return ""
    day = f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
    return f"{day}, {moment:%H:%M}" if isinstance(moment, datetime) else day
