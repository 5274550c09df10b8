"""What was done to the demo's people and what it brought: sessions, drugs, and scores that rise and fall as relief does.

The shares and lengths are invented, near enough to what clinics see to look at; nothing may be concluded from them.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from pain_clinic.accounts.models import User
from patients import notes, outcomes
from patients.models import (
    Aspect,
    ClinicalNote,
    Complication,
    DrugKind,
    GivenDrug,
    Origin,
    PerformedProcedure,
    Phase,
    Score,
)
from procedures.guidance import usual
from procedures.models import Procedure
from procedures.rules import offers
from procedures.tables import files
from scheduling.demo.cases import Case
from scheduling.demo.writing import copy, reserve
from scheduling.models import Appointment, Completion, Kind, Status

CHUNK = 4_000  # sessions whose outcomes are computed together
ANSWERED = 0.78  # of follow-ups
WEEKS_OF_FADING = 4
PROMPT, LATEST = 7, 18  # days: a later question is answered up to so many days late
NOTED_DAYS = 120  # how far back the demo has notes
DIARY_HOURS = (0.5, 1, 2, 4, 8)
RECORDED = (
    "id",
    "public_id",
    "patient",
    "origin",
    "note",
    "recorded_at",
    "recorded_by",
    "is_in_error",
    "error_reason",
    "version",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """How a family of procedures works: who responds, how well, how soon and for how long."""

    responding: float
    best: float  # mean relief of responders, percent
    rest: float  # of everybody else
    onset: int  # days until the best
    days: float  # median length in responders
    spread: float  # of its logarithm


USUAL = Effect(0.5, 62, 16, 5, 55, 0.6)
EFFECTS = {
    "esi": Effect(0.58, 68, 18, 7, 90, 0.6),
    "mbb_diagnostic": Effect(0.62, 90, 34, 0, 0.6, 0.4),
    "genicular_block": Effect(0.64, 88, 30, 0, 0.7, 0.4),
    "facet_injection": Effect(0.48, 62, 15, 5, 50, 0.6),
    "facet_rfa": Effect(0.66, 74, 20, 21, 285, 0.4),
    "facet_rfa_cooled": Effect(0.66, 74, 20, 21, 300, 0.4),
    "si_rfa": Effect(0.56, 68, 18, 21, 240, 0.45),
    "genicular_rfa": Effect(0.6, 66, 18, 14, 210, 0.45),
    "si_injection": Effect(0.58, 72, 18, 2, 62, 0.6),
    "tpi": Effect(0.5, 60, 15, 1, 30, 0.5),
    "botulinum": Effect(0.55, 58, 12, 14, 85, 0.25),
    "joint_injection": Effect(0.6, 64, 16, 3, 75, 0.5),
    "sympathetic_block": Effect(0.48, 60, 14, 1, 28, 0.6),
    "peripheral_nerve_block": Effect(0.54, 64, 15, 1, 35, 0.6),
    "scs_trial": Effect(0.7, 70, 20, 2, 30, 0.3),
    "scs_implant": Effect(0.64, 64, 18, 30, 700, 0.4),
}
STEROIDS = {"esi_tf": ("dexamethasone", 10), "epidural": ("methylprednisolone_acetate", 80),
            "joint": ("triamcinolone_acetonide", 40), "other": ("methylprednisolone_acetate", 40)}  # fmt: skip
HARMS = (("vasovagal", "minor"), ("pain_flare", "minor"), ("headache", "moderate"), ("steroid_effect", "minor"),
         ("bleeding", "minor"), ("nerve_injury", "moderate"))  # fmt: skip


@dataclass(slots=True)
class Session:
    """One discharged case, with the key of its performed procedure and how it will go."""

    key: int
    public_id: uuid.UUID
    case: Case
    baseline: float
    relief: float  # at its best, percent
    effect: Effect
    days: float  # how long it lasts

    def pain(self, days: float) -> float:
        """Return the pain this long after it, before rounding."""
        rise = min(1.0, days / self.effect.onset) if self.effect.onset else 1.0
        over = max(0.0, days - self.days) / (7 * WEEKS_OF_FADING if self.days > 2 else 0.5)
        return self.baseline * (1 - self.relief / 100 * rise * max(0.0, 1 - over))


@dataclass(frozen=True, slots=True)
class Contact:
    """When the table asks how it went, and for what."""

    after: relativedelta
    measures: tuple[str, ...]


def write_sessions(cases: Sequence[Case], rng: random.Random, at: datetime) -> int:
    """Write what was done in every case that is over, and how it went; return how many sessions there are."""
    over = sorted((case for case in cases if case.status == Status.DISCHARGED), key=lambda case: case.starts_at)
    keys = reserve(PerformedProcedure, len(over))
    nurse = User.objects.get(username="nurse").pk
    baselines: dict[int, float] = {}
    sessions = [_session(key, case, baselines, rng) for key, case in zip(keys, over, strict=True)]
    copy(PerformedProcedure, (*RECORDED, *PERFORMED), (_performed(session, rng) for session in sessions))
    copy(GivenDrug, (*RECORDED[1:], *GIVEN), (row for session in sessions for row in _drugs(session, rng)))
    copy(Complication, (*RECORDED[1:], *HARM), (row for session in sessions for row in _harm(session, rng)))
    copy(Score, (*RECORDED[1:], *SCORED), (row for session in sessions for row in _scores(session, rng, at, nurse)))
    _write_completions(sessions, rng, at)
    for place in range(0, len(keys), CHUNK):
        outcomes.refresh(keys[place : place + CHUNK])
    return len(sessions)


def _write_completions(sessions: Sequence[Session], rng: random.Random, at: datetime) -> None:
    """Write that each was completed, by whom and when; the notes of the last months too."""
    keys = dict(Appointment.objects.filter(status=Status.DISCHARGED).values_list("public_id", "pk"))
    physician = User.objects.get(username="physician").pk
    copy(
        Completion,
        ("appointment", "public_id", "performed", "differs", "unchecked", "reason", "at", "by"),
        (
            (keys[one.case.public_id], uuid.UUID(int=rng.getrandbits(128), version=4), one.public_id, "[]", "[]", "",
             one.case.ends_at, physician)
            for one in sessions
        ),
    )  # fmt: skip
    since = at - timedelta(days=NOTED_DAYS)
    noted = ((one, one.case.procedure) for one in sessions if one.case.ends_at > since)
    copy(
        ClinicalNote,
        (*RECORDED[1:], "performed", "template", "sections", "signed_at", "signed_by", "cosigned_at", "cosigned_by"),
        (
            (*recorded(one.case.person.key, one.case.ends_at, physician, rng), one.key, notes.template_for(what).code,
             json.dumps(notes.prefilled(what, side=one.case.side, levels=one.case.levels, guidance=usual(what))),
             one.case.leaves_at, physician, None, None)
            for one, what in noted
        ),
    )  # fmt: skip


def _session(key: int, case: Case, baselines: dict[int, float], rng: random.Random) -> Session:
    effect = EFFECTS.get(case.procedure.family, USUAL)
    own = uuid.UUID(int=rng.getrandbits(128), version=4)
    if case.tale is not None:
        return Session(key, own, case, case.tale.pain, case.tale.relief, effect, case.tale.days)
    person = case.person.key
    if person not in baselines:
        baselines[person] = min(9.5, max(3.5, rng.gauss(7, 1.2)))
    # Pain moves a little between sessions, for each person around his or her own.
    baseline = min(10.0, max(3.0, rng.gauss(baselines[person], 0.7)))
    responds = rng.random() < effect.responding
    relief = min(100.0, max(50.0, rng.gauss(effect.best, 12))) if responds else min(49.0, max(-10.0, rng.gauss(effect.rest, 13)))
    days = effect.days * rng.lognormvariate(0, effect.spread) * (1 if responds else 0.4)
    return Session(key, own, case, baseline, relief, effect, days)


def recorded(patient: int, at: datetime, by: int | None, rng: random.Random, *, origin: str = Origin.CLINIC) -> tuple[Any, ...]:
    """Return what every recorded row begins with, in the order of `RECORDED` after the key."""
    return (uuid.UUID(int=rng.getrandbits(128), version=4), patient, origin, "", at, by, False, "", 1)


PERFORMED = ("procedure", "appointment", "done_on", "done_at", "site", "is_elsewhere", "where_elsewhere", "other_name", "side",
             "levels", "regions", "body_site", "role", "guidance", "sedation", "operator", "operator_name", "indication",
             "fluoroscopy_seconds", "dose_ugy_m2", "is_image_saved")  # fmt: skip


def _performed(session: Session, rng: random.Random) -> tuple[Any, ...]:
    case = session.case
    procedure = case.procedure
    doctor = next((unit for unit, *_ in case.taken if unit.kind == Kind.PHYSICIAN), None)
    guidance = usual(procedure)
    is_imaged = guidance == "fluoroscopy"
    seconds = max(4, int(rng.gauss(22 + 14 * len(case.levels), 9))) if is_imaged else None
    return (
        session.key, session.public_id,
        *recorded(case.person.key, case.ends_at, doctor.user_id if doctor else None, rng)[1:],
        procedure.pk, case.public_id, case.day, case.starts_at, case.site, False, "", "", case.side, case.levels,
        case.regions, _body_site(case), _role(case), guidance, procedure.planned_sedation,
        doctor.user_id if doctor else None, doctor.name if doctor else "", "", seconds,
        round(seconds * rng.uniform(1.1, 3.4), 2) if seconds else None, True if is_imaged else None,
    )  # fmt: skip


def _role(case: Case) -> str:
    return offers.default_role(case.procedure.code, case.procedure.family)


def _body_site(case: Case) -> str:
    is_knee = case.procedure.family in {"genicular_block", "genicular_rfa"} or case.regions == ["knee"]
    return f"{case.side}_knee" if is_knee and case.side in {"left", "right"} else ""


GIVEN = ("performed", "kind", "drug", "dose_mg", "volume_ml", "given_on")


def _drugs(session: Session, rng: random.Random) -> Iterator[tuple[Any, ...]]:
    case = session.case
    procedure = case.procedure

    def row(kind: str, drug: str, dose: float | None, volume: float) -> tuple[Any, ...]:
        return (*recorded(case.person.key, case.ends_at, None, rng), session.key, kind, drug, dose, volume, case.day)

    drug, dose = steroid_of(procedure)
    if drug:
        yield row(DrugKind.STEROID, drug, dose if rng.random() < 0.8 else dose / 2, 1)
    if procedure.category not in {"neuromodulation", "regenerative"}:
        yield row(DrugKind.LOCAL_ANAESTHETIC, rng.choice(("lidocaine", "bupivacaine")), None, rng.choice((1, 2, 3)))
    if procedure.category == "epidural" and usual(procedure) == "fluoroscopy":
        yield row(DrugKind.CONTRAST, "iohexol", None, 1.5)


HARM = ("performed", "kind", "severity", "noticed_on", "outcome")


def steroid_of(procedure: Procedure) -> tuple[str, int]:
    """Return the steroid and the dose that a procedure takes by the catalogue; nothing where it takes none."""
    if not procedure.steroid.startswith("yes") or procedure.family in offers.TESTS:
        return "", 0
    place = "esi_tf" if procedure.code.startswith("esi_tf") or procedure.code == "snrb" else procedure.category
    return STEROIDS.get(place, STEROIDS["other"])


def _harm(session: Session, rng: random.Random) -> Iterator[tuple[Any, ...]]:
    case = session.case
    told = case.tale.harm if case.tale is not None else ""
    if told or (case.tale is None and rng.random() < 0.016):
        kind, severity = (told, dict(HARMS)[told]) if told else rng.choices(HARMS, (9, 7, 3, 4, 2, 1))[0]
        yield (
            *recorded(case.person.key, case.ends_at, None, rng),
            session.key,
            kind,
            severity,
            case.day,
            "Gone without treatment",
        )


SCORED = ("measure", "aspect", "value", "range_text", "scored_on", "scored_at", "phase", "performed", "side", "levels", "ask")


def _scores(session: Session, rng: random.Random, at: datetime, nurse: int) -> Iterator[tuple[Any, ...]]:
    case = session.case
    zone = ZoneInfo(case.zone)

    def row(measure: str, aspect: str, value: float, moment: datetime, phase: str, by: int | None) -> tuple[Any, ...]:
        origin = Origin.CLINIC if by else Origin.PATIENT
        return (
            *recorded(case.person.key, moment, by, rng, origin=origin),
            measure, aspect, value, "", moment.astimezone(zone).date(), moment, phase,
            session.key, case.side, case.levels, None,
        )  # fmt: skip

    def told(pain: float) -> int:
        return min(10, max(0, round(rng.gauss(pain, 0.6))))

    before = max(2, told(session.baseline))
    yield row("nrs", Aspect.INDEX, before, case.arrives_at, Phase.BEFORE, nurse)
    if rng.random() < 0.5:
        yield row("nrs", Aspect.AVERAGE, max(1, before - 1), case.arrives_at, Phase.BEFORE, nurse)
    if rng.random() < 0.6:
        yield row("peg", Aspect.TOTAL, _peg(session.baseline, rng), case.arrives_at, Phase.BEFORE, nurse)
    if rng.random() < 0.93:  # the local anaesthetic helps at first, whatever a steroid or a lesion brings later
        yield row(
            "nrs", Aspect.INDEX, told(session.pain(0) * (0.7 if session.effect.onset else 1)), case.leaves_at, Phase.AFTER, nurse
        )
    if case.procedure.family in offers.TESTS and rng.random() < 0.85:
        for hours in DIARY_HOURS:
            moment = case.ends_at + timedelta(hours=hours)
            if moment <= at and rng.random() < 0.9:
                yield row("nrs", Aspect.INDEX, told(session.pain(hours / 24)), moment, Phase.DIARY, None)
    for contact in _contacts().get(case.procedure.family, _contacts()[""]):
        day: date = case.day + contact.after
        if (day - case.day).days > PROMPT:  # people answer in their own time; told all at once, relief would end in steps
            day += timedelta(days=rng.randrange(LATEST))
        moment = datetime.combine(day, time(10 + rng.randrange(9), rng.randrange(60)), tzinfo=zone)
        if day <= case.day or moment > at or (rng.random() > ANSWERED and case.tale is None):
            continue
        pain = session.pain((day - case.day).days)
        for measure in contact.measures:
            if measure == "nrs":
                yield row("nrs", Aspect.INDEX, told(pain), moment, Phase.FOLLOW_UP, None)
            elif measure == "peg":
                yield row("peg", Aspect.TOTAL, _peg(pain, rng), moment, Phase.FOLLOW_UP, None)
            elif measure == "odi":
                yield row(
                    "odi", Aspect.TOTAL, min(100, max(0, 2 * round(rng.gauss(pain * 3.4 + 6, 4)))), moment, Phase.FOLLOW_UP, nurse
                )
            elif measure == "percent_relief":
                best = max(0, min(100, 5 * round((1 - pain / session.baseline) * 20)))
                yield row(measure, Aspect.TOTAL, best, moment, Phase.FOLLOW_UP, None)


def _peg(pain: float, rng: random.Random) -> float:
    """Return a mean of three items of 0 to 10."""
    return round(min(30, max(0, round(rng.gauss(pain * 2.75, 2.2)))) / 3, 2)


@cache
def _contacts() -> dict[str, tuple[Contact, ...]]:
    """Return the contacts of the outcomes table by family; under the empty word, those of every other family."""
    found = {
        row["after"]: tuple(
            Contact(relativedelta(days=int(each.get("days", 0)), months=int(each.get("months", 0))), tuple(each["collect"]))
            for each in row["contacts"]
        )
        for row in files.read(only=("outcomes",))["outcomes"].content["follow_up"]
    }
    found[""] = tuple(
        Contact(relativedelta(days=days), measures) for days, measures in ((14, ("nrs",)), (42, ("nrs", "peg")), (91, ("nrs",)))
    )
    return found
