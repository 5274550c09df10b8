"""Everything on file about one patient, and the facts for one request among it. Pure: no clock, no database.

Some answers hold for a while only: that there is no infection or pregnancy counts for `GOOD_FOR` before the date of
service. A kind of which anything at all is on file was asked about; nothing on file and nobody who asked is unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import cached_property
from typing import Any
from uuid import UUID

from patients.facts.sessions import day, figure, performed_sessions, sure_day
from procedures.rules import Facts, Request, Session
from procedures.rules.clinic.safety import years_between
from procedures.rules.dates import as_date, wall_clock
from procedures.rules.facts import (
    Allergy,
    Authorization,
    Coverage,
    Implant,
    Lab,
    Medication,
    Presentation,
    Stent,
    Surgery,
    Vaccine,
)

GOOD_FOR = {"infection": timedelta(days=30), "pregnancy": timedelta(days=30)}
GONE_AFTER = timedelta(days=30)  # a blood thinner stopped so long before the date of service plays no part in it
BONE_AND_SUGAR = ("diabetes", "osteoporosis", "osteopenia", "postmenopausal")
_WORDS = {"given": True, "refused": False}
STENTS = {"stent_drug_eluting": "drug_eluting", "stent_bare": "bare"}
# What each of the rules' facts was filled from.
KINDS: Mapping[str, tuple[str, ...]] = {
    "sessions": ("performed", "given", "score"),
    "medications": ("medication", "clearance", "asked"),
    "glp1": ("medication", "asked"),
    "allergies": ("allergy", "asked"),
    "conditions": ("condition", "asked"),
    "bleeding_risk_factors": ("condition",),
    "pregnant": ("condition", "asked"),
    "has_infection": ("condition", "asked"),
    "antibiotics_until": ("condition",),
    "implants": ("implant", "asked"),
    "stents": ("implant",),
    "surgeries": ("surgery",),
    "labs": ("lab",),
    "vaccines": ("vaccine", "asked"),
    "presentation": ("presentation", "score"),
    "coverage": ("coverage", "authorization"),
}


class Known:
    """What is on file about one patient, as rows by kind, each a list of what the statement in `reading` names.

    `names` are what people call the procedures of the book, by code: findings speak of them so.
    """

    def __init__(
        self,
        birth_on: date,
        sex: str,
        rows: Mapping[str, Sequence[Sequence[Any]]],
        names: Mapping[str, str],
    ) -> None:
        self.names = names
        self.birth_on = birth_on
        self.sex = None if sex == "unknown" else sex
        self.rows = rows

    def facts(
        self,
        request: Request,
        others: Iterable[Session] = (),
        *,
        at: datetime,
        zone: tzinfo,
        families: Mapping[str, str] | None = None,
    ) -> Facts:
        """Return the facts for one request as they stand at a moment; `others` are sessions that an upper floor keeps.

        `families` gives the family of a procedure, by which an authorisation of another of its family may count.
        """
        on, today = request.on, as_date(at, zone)
        infected, antibiotics = self._infection(on)
        return Facts(
            request,
            (*self.sessions, *others),
            birth_on=self.birth_on,
            sex=self.sex,
            as_of=at.astimezone(zone).replace(tzinfo=None),
            zone=zone,
            age=years_between(self.birth_on, on),
            pregnant=self._pregnant(on),
            conditions=self._conditions(on),
            bleeding_risk_factors=tuple(row[1] for row in self._held("condition", on) if row[0] == "bleeding_risk"),
            has_infection=infected,
            antibiotics_until=antibiotics,
            glp1=self._glp1(on),
            stents=self._stents(on),
            surgeries=tuple(Surgery(kind, site, sure_day(planned)) for kind, site, planned in self._of("surgery")),
            medications=self._medications(request, today, zone),
            labs=tuple(Lab(test, sure_day(taken), Fraction(value)) for test, value, taken in self._of("lab")),
            vaccines=self._vaccines(),
            allergies=self._allergies(),
            implants=self._implants(on),
            presentation=self._presentation(request, today),
            coverage=self._coverage(on, families or {}),
        )

    @cached_property
    def sessions(self) -> tuple[Session, ...]:
        """Return what was performed, here and elsewhere, oldest first."""
        found = performed_sessions(self._of("performed"), self._of("given"), self._of("score"), self.names)
        return tuple(sorted(found, key=lambda one: (one.on, one.procedure, one.levels, one.side)))

    @cached_property
    def cases(self) -> frozenset[UUID]:
        """Return the cases of which the performed procedure is on file."""
        return frozenset(UUID(row[5]) for row in self._of("performed") if row[5])

    def has_coverage(self, on: date) -> bool:
        """Say whether it is on file who pays on a date."""
        return self._plan(on) is not None

    def stamp(self, names: Iterable[str]) -> str:
        """Return what tells the rows behind some of the rules' facts from any others, in 64 characters."""
        kinds = sorted({kind for name in names for kind in KINDS.get(name, ())})
        told = json.dumps(
            [[kind, [_stamped(kind, row) for row in self._of(kind)]] for kind in kinds], default=str, sort_keys=True
        )
        return hashlib.sha256(told.encode()).hexdigest()

    def _of(self, kind: str) -> Sequence[Sequence[Any]]:
        return self.rows.get(kind, ())

    def _asked(self, topic: str) -> date | None:
        return max((sure_day(row[1]) for row in self._of("asked") if row[0] == topic), default=None)

    def _held(self, kind: str, on: date) -> list[Sequence[Any]]:
        """Return the conditions or implants that hold on a day: begun, and not yet ended."""
        first, last = (2, 3) if kind == "condition" else (1, 2)
        return [
            row
            for row in self._of(kind)
            if (row[first] is None or sure_day(row[first]) <= on) and (row[last] is None or sure_day(row[last]) > on)
        ]

    def _is_fresh(self, topic: str, known: date | None, on: date) -> bool:
        return known is not None and on - known <= GOOD_FOR[topic]

    def _pregnant(self, on: date) -> bool | None:
        rows = [row for row in self._of("condition") if row[0] == "pregnancy"]
        if any(row[0] == "pregnancy" for row in self._held("condition", on)):
            return True
        ended = [sure_day(row[3]) for row in rows if row[3] is not None]
        known = max((one for one in (self._asked("pregnancy"), *ended) if one is not None), default=None)
        return False if self._is_fresh("pregnancy", known, on) else None

    def _infection(self, on: date) -> tuple[bool | None, date | None]:
        rows = [row for row in self._of("condition") if row[0] == "infection"]
        until = max((sure_day(row[4]) for row in rows if row[4] is not None), default=None)
        if any(row[0] == "infection" for row in self._held("condition", on)):
            return True, until
        ended = [sure_day(row[3]) for row in rows if row[3] is not None]
        known = max((one for one in (self._asked("infection"), *ended) if one is not None), default=None)
        return (False if self._is_fresh("infection", known, on) else None), until

    def _conditions(self, on: date) -> frozenset[str] | None:
        if self._asked("conditions") is None and not any(row[0] in BONE_AND_SUGAR for row in self._of("condition")):
            return None
        return frozenset(row[0] for row in self._held("condition", on) if row[0] in BONE_AND_SUGAR)

    def _glp1(self, on: date) -> str | None:
        rows = [row for row in self._of("medication") if row[1] == "glp1"]
        if not rows:
            return None if self._asked("glp1") is None else ""
        return next((row[2] for row in rows if row[6] is None or sure_day(row[6]) > on), "")

    def _stents(self, on: date) -> tuple[Stent, ...]:
        return tuple(
            Stent(STENTS[row[0]], day(row[1]), row[3] is not False)  # the longer time, where nobody said which
            for row in self._held("implant", on)
            if row[0] in STENTS
        )

    def _implants(self, on: date) -> tuple[Implant, ...] | None:
        if not self._of("implant") and self._asked("implants") is None:
            return None
        return tuple(Implant(row[0], row[4]) for row in self._held("implant", on) if row[0] not in STENTS)

    def _allergies(self) -> tuple[Allergy, ...] | None:
        if not self._of("allergy") and self._asked("allergies") is None:
            return None
        return tuple(Allergy(agent, "" if severity == "unknown" else severity) for agent, severity in self._of("allergy"))

    def _vaccines(self) -> tuple[Vaccine, ...] | None:
        if not self._of("vaccine") and self._asked("vaccines") is None:
            return None
        return tuple(Vaccine(kind, sure_day(given)) for kind, given in self._of("vaccine"))

    def _medications(self, request: Request, today: date, zone: tzinfo) -> tuple[Medication, ...] | None:
        rows = [row for row in self._of("medication") if row[1] == "antithrombotic"]
        if not rows and self._asked("antithrombotics") is None:
            return None
        found = []
        for key, _, drug, dose, indication, last_dose_at, stopped in rows:
            stopped_on = day(stopped)
            if stopped_on is not None and stopped_on <= today and stopped_on + GONE_AFTER < request.on:
                continue
            hold, decision = (self._word(key, kind, request.case) for kind in ("hold", "decision"))
            last: date | datetime | None = stopped_on
            if last_dose_at is not None:
                last = datetime.fromisoformat(last_dose_at).astimezone(zone).replace(tzinfo=None)
            times = (_moment(hold[5], zone), _moment(hold[6], zone)) if hold is not None and hold[4] else None
            cleared, decided = (None if word is None else _WORDS.get(word[2]) for word in (hold, decision))
            said = None if hold is None or hold[7] is None else wall_clock(datetime.fromisoformat(hold[7]), zone)
            slot = None if decision is None or decision[8] is None else wall_clock(datetime.fromisoformat(decision[8]), zone)
            what = decision[9] if decision is not None else ""
            found.append(Medication(drug, last, stopped_on is None, dose, indication, cleared, decided, times, said, slot, what))
        return tuple(found)

    def _word(self, medication: int, kind: str, case: str) -> Sequence[Any] | None:
        """Return the row of the prescriber's newest word for this case."""
        held = [row for row in self._of("clearance") if row[0] == medication and row[1] == kind and row[3] in (None, case)]
        return held[-1] if held else None

    def has_consent(self, request: Request) -> bool:
        """Say whether the patient's consent to all that is asked for is on file and good on its date."""
        return all(
            any(
                code == one.procedure
                and (appointment is None or appointment == request.case)
                and (not side or side == one.side)
                and (not levels or set(one.levels) <= set(levels))
                and (until is None or request.on <= sure_day(until))
                and withdrawn is None
                for code, appointment, side, levels, _, until, withdrawn in self._of("consent")
            )
            for one in request.wanted
        )

    def _presentation(self, request: Request, today: date) -> Presentation:
        row = self._problem(request)
        score = self._pain_score(today)
        if row is None:
            return Presentation(pain_score=score)
        (_, indication, icd10, _, _, pain_since, conservative_since, tests, imaging_on, episode, _, missing, on_file) = row
        return Presentation(
            indication=indication,
            icd10=icd10 or None,
            pain_weeks=_weeks(day(pain_since), today),
            conservative_weeks=_weeks(day(conservative_since), today),
            pain_score=score,
            provocation_tests=tests,
            imaging_months=None if imaging_on is None else _months(sure_day(imaging_on), today),
            missing=frozenset(missing),
            on_file=frozenset(on_file) - frozenset(missing),
            episode_started=day(episode),
        )

    def _problem(self, request: Request) -> Sequence[Any] | None:
        """Return the problem that is treated: the one that is named, else at these levels or this side before any other.

        Of several it is the newest. A named one counts though it has ended: somebody says that it is meant, whatever the date.
        """
        if request.problem is not None:
            named = next((row for row in self._of("presentation") if row[0] == request.problem), None)
            if named is not None:  # else it was written down by mistake
                return named
        levels = {level for one in request.wanted for level in one.levels}
        sides = {one.side for one in request.wanted}
        best: tuple[tuple[bool, bool, int], Sequence[Any]] | None = None
        for row in self._of("presentation"):
            if row[10] is not None and sure_day(row[10]) <= request.on:
                continue
            is_elsewhere = row[4] and levels and not levels & set(row[4])
            if is_elsewhere or (row[3] in ("left", "right") and sides and sides <= {"left", "right"} - {row[3]}):
                continue
            place = (bool(levels & set(row[4])), row[3] in sides, row[0])
            if best is None or place > best[0]:
                best = (place, row)
        return None if best is None else best[1]

    def _pain_score(self, today: date) -> Fraction | None:
        scores = [(row[5], row[3]) for row in self._of("score") if row[1] == "nrs" and row[3] is not None and row[6] != "diary"]
        known = [(on, value) for on, value in scores if sure_day(on) <= today]
        return figure(max(known)[1]) if known else None

    def _plan(self, on: date) -> Sequence[Any] | None:
        valid = [
            row
            for row in self._of("coverage")
            if (row[5] is None or sure_day(row[5]) <= on) and (row[6] is None or on <= sure_day(row[6]))
        ]
        return min(valid, key=lambda row: (row[8], -row[0]), default=None)

    def place_of(self, on: date) -> tuple[str | None, str | None]:
        """Return place of service and state that the coverage names; None for neither."""
        row = self._plan(on)
        return (None, None) if row is None else (row[4] or None, row[3] or None)

    def _coverage(self, on: date, families: Mapping[str, str]) -> Coverage:
        row = self._plan(on)
        if row is None:
            return Coverage()
        authorizations = tuple(_authorization(held, families) for held in self._of("authorization") if held[0] == row[0])
        return Coverage(row[1], row[2], authorizations, day(row[7]))


def _stamped(kind: str, row: Sequence[Any]) -> Sequence[Any]:
    """Return what a stamp tells of a row: a word for no day tells what it did before days were kept, so that waivers last."""
    return row[:8] if kind == "clearance" and row[8] is None else row


def _authorization(row: Sequence[Any], families: Mapping[str, str]) -> Authorization:
    _, covers, codes, side, levels, status, decided_on, valid_from, valid_until, units_left, case = row
    sides = frozenset({"left", "right", "bilateral"} if side == "bilateral" else {side} if side else ())
    return Authorization(
        covers, families.get(covers, covers), status, day(decided_on), day(valid_until), day(valid_from), frozenset(codes), sides,
        frozenset(levels), units_left, case or "",
    )  # fmt: skip


def _moment(written: str, zone: tzinfo) -> date | datetime | None:
    """Return a day as it is, an instant as the clock on the wall shows it there."""
    if len(written) <= 10:
        return date.fromisoformat(written) if written else None
    return wall_clock(datetime.fromisoformat(written), zone)


def _weeks(since: date | None, today: date) -> int | None:
    return None if since is None else max((today - since).days // 7, 0)


def _months(since: date, today: date) -> Fraction:
    """Return whole months and, beyond them, days of a month of 31: never too few."""
    months = (today.year - since.year) * 12 + today.month - since.month
    days = today.day - since.day
    return Fraction(months) + Fraction(days, 31)
