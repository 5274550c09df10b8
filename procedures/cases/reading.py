"""Read a file of written cases into facts, by the format of CASES.md, or say everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from procedures import yaml_files
from procedures.cases.background import read_coverage, read_lists, read_patient, read_presentation
from procedures.cases.parsing import (
    CaseProblem,
    Fields,
    Problems,
    Wrong,
    a_day,
    a_moment,
    a_text,
    a_time,
    a_word,
    yes_no,
)
from procedures.cases.sessions import SessionRead, read_session, read_wanted
from procedures.rules import Facts, Request
from procedures.rules.book import Book, Switches
from procedures.rules.dates import as_date
from procedures.rules.facts import (
    Intake,
)

MERGED = ("patient", "presentation", "coverage", "request")
KEYS = (
    "id", "title", "note", "as_of", "patient", "presentation", "coverage", "medications", "labs", "vaccines", "allergies",
    "implants", "history", "history_from", "request", "expect",
)  # fmt: skip
NOT_DEFAULTS = ("id", "history_from", "expect")
EXPECTED = ("decision", "rule", "severity", "earliest", "counted", "limit", "also", "absent")


class MalformedCases(Exception):
    """A file of cases cannot be judged as it is."""

    def __init__(self, problems: list[CaseProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Case:
    """One case that can be judged."""

    id: str
    title: str
    facts: Facts
    switches: Switches
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Raw:
    """A case with its own history, before histories are put together."""

    id: str
    data: dict[str, Any]
    history: list[SessionRead]
    history_from: str | None


def read_cases(path: Path, book: Book, *, zone: tzinfo) -> list[Case]:
    """Return the cases of a file, in its order; `zone` is the clinic's, for a file that names none.

    Raises:
        MalformedCases: with every problem of the file; nothing of it is judged.
    """
    problems = Problems(path.name)
    try:
        content, _ = yaml_files.read(path)
    except yaml_files.Unreadable as error:
        problems.say("-", error.where, f"expected {error.expected}")
        raise MalformedCases(problems.found) from None
    cases = _Reader(problems, book, zone).read(content)
    if problems.found:
        raise MalformedCases(problems.found)
    return cases


def read_case(data: Mapping[str, Any], book: Book, *, zone: tzinfo, file: str = "form") -> Case:
    """Return one case that was not written in a file but put together, read as a file's only case would be.

    Raises:
        MalformedCases: with every problem of it.
    """
    problems = Problems(file)
    cases = _Reader(problems, book, zone).read({"format": 1, "cases": [dict(data)]})
    if problems.found:
        raise MalformedCases(problems.found)
    return cases[0]


class _Reader:
    def __init__(self, problems: Problems, book: Book, zone: tzinfo) -> None:
        self.problems, self.book, self.zone = problems, book, zone

    def read(self, content: dict[Any, Any]) -> list[Case]:
        top = Fields(self.problems, "-", "", content)
        if top.need("format", lambda value: value) not in (1, None) or isinstance(content.get("format"), (bool, float)):
            top.say("format", "expected 1")
        self.zone = top.get("time_zone", _zone, self.zone)
        defaults = top.part("defaults")
        self._check_defaults(defaults)
        listed = top.need("cases", lambda value: value)
        top.end()
        if not isinstance(listed, list):
            if listed is not None:
                top.say("cases", "expected a list of cases")
            return []
        raws = self._raw(listed, defaults.data)
        return [case for raw in raws if (case := self._case(raw, raws)) is not None]

    def _check_defaults(self, defaults: Fields) -> None:
        for name in defaults.data:
            if name in NOT_DEFAULTS or name not in KEYS:
                defaults.say(str(name), "is not a key that defaults may have")
            elif name in MERGED and not isinstance(defaults.data[name], dict):
                defaults.say(str(name), "expected a mapping of fields")

    def _raw(self, listed: list[Any], defaults: dict[Any, Any]) -> list[_Raw]:
        found: list[_Raw] = []
        seen: set[str] = set()
        for place, data in enumerate(listed, start=1):
            name = f"number {place}"
            fields = Fields(self.problems, name, "", data)
            case_id = fields.need("id", _id) if isinstance(data, dict) else None
            if case_id is None:
                continue
            if case_id in seen:
                self.problems.say(case_id, "id", "is the id of an earlier case too")
                continue
            seen.add(case_id)
            merged = _merged(defaults, data)
            own = Fields(self.problems, case_id, "", merged)
            history = [read_session(one, self.book) for one in own.parts("history")]
            origin = own.get("history_from", a_text, "") or None
            found.append(_Raw(case_id, merged, [one for one in history if one is not None], origin))
        return found

    def _case(self, raw: _Raw, raws: list[_Raw]) -> Case | None:
        fields = Fields(self.problems, raw.id, "", raw.data)
        fields.taken.update(("id", "history", "history_from"))
        title = fields.get("title", a_text, "")
        fields.get("note", a_text, "")
        as_of = fields.need("as_of", a_moment)
        coverage, switches = read_coverage(fields.part("coverage"), self.book)
        presentation = read_presentation(fields.part("presentation"), switches, self.book)
        request = self._request(fields)
        patient = read_patient(fields.part("patient"))
        lists = read_lists(fields, self.book)
        expect = fields.part("expect")
        for name in expect.data:
            if name not in EXPECTED:
                expect.say(str(name), "is not a known key")
        fields.end()
        history = self._history(raw, raws)
        if as_of is None or request is None:
            return None
        self._check_dates(raw, history, as_of, request)
        facts = Facts(
            request,
            tuple(one.session for one in history),
            as_of=as_of,
            zone=self.zone,
            presentation=presentation,
            coverage=coverage,
            is_complete=True,
            **patient,
            **lists,
        )
        return Case(raw.id, title, facts, switches, expect.data)

    def _history(self, raw: _Raw, raws: list[_Raw]) -> list[SessionRead]:
        by_id = {one.id: one for one in raws}
        chain, seen, at = [raw], {raw.id}, raw
        while at.history_from is not None:
            before = by_id.get(at.history_from)
            if before is None or before.id in seen:
                why = "names no case of this file" if before is None else "goes in a circle"
                self.problems.say(raw.id, "history_from", why)
                return []
            seen.add(before.id)
            chain.append(before)
            at = before
        return [session for one in reversed(chain) for session in one.history]

    def _check_dates(self, raw: _Raw, history: list[SessionRead], as_of: date | datetime, request: Request) -> None:
        day = as_date(as_of, self.zone)
        starts_at = request.starts_at
        if request.on < day or (starts_at is not None and isinstance(as_of, datetime) and starts_at < as_of):
            self.problems.say(raw.id, "request.starts_at" if starts_at else "request.date", "must not be before as_of")
        for one in history:
            session = one.session
            if session.status == "performed" and session.on > day:
                self.problems.say(raw.id, f"{one.path}.date", "a performed session must be dated on or before as_of")
            if session.status == "booked" and session.on <= day:
                self.problems.say(raw.id, f"{one.path}.date", "a booked session must be dated after as_of")
            if session.on >= request.on:
                self.problems.say(raw.id, f"{one.path}.date", "a session must be dated before the requested date")
            if any(record > day for record in one.records):
                self.problems.say(raw.id, one.path, "a record must be dated on or before as_of")
            if any(record < session.on for record in one.records):
                self.problems.say(raw.id, one.path, "a record must not be dated before its session")

    def _request(self, case: Fields) -> Request | None:
        if not case.has("request"):
            case.taken.add("request")
            case.say("request", "is required and is missing")
            return None
        fields = case.part("request")
        if not isinstance(case.data["request"], dict):
            return None
        starts_at = fields.get("starts_at", a_time, None)
        on = fields.get("date", a_day, None)
        if fields.has("date") == fields.has("starts_at"):
            fields.say("date", "expected exactly one of date and starts_at")
        if fields.has("procedure") == fields.has("procedures"):
            fields.say("procedure", "expected exactly one of procedure and procedures")
        several = fields.parts("procedures")
        if fields.has("procedures") and fields.data["procedures"] == []:
            fields.say("procedures", "expected at least one procedure")
        wanted = [read_wanted(one, self.book, is_alone=False) for one in several]
        if fields.has("procedure"):
            wanted.append(read_wanted(fields, self.book, is_alone=True))
        intake = []
        for one in fields.parts("intake"):
            what, ended = one.need("what", a_word(self.book.intakes)), one.need("end", a_time)
            one.end()
            if what and ended:
                intake.append(Intake(what, ended))
        sedation = fields.get("sedation", a_word(("none", "minimal", "moderate", "deep", "mac", "general")), "none")
        plans = ("oral_prednisone", "oral_methylprednisolone", "iv_accelerated", "none")
        premedication = fields.get("premedication", a_word(plans), "none")
        known: dict[str, Any] = {
            "place_of_service": fields.get("place_of_service", _place, "11"),
            "state": fields.get("state", _state, None),
            "has_driver": fields.get("driver", yes_no, True),
            "intake": tuple(intake),
            "premedication": "" if premedication == "none" else premedication,
            "rationale": fields.get("rationale", a_text, ""),
            "site_reason": fields.get("site_reason", a_text, ""),
            "is_planned_series": fields.get("planned_series", yes_no, False),
        }
        fields.end()
        day = on if starts_at is None else starts_at.date()
        whole = [one for one in wanted if one is not None]
        if day is None or not whole or len(whole) < len(wanted):
            return None
        first = whole[0]
        return Request(
            day, first.procedure, first.family, first.side, first.levels, starts_at, sedation, several=tuple(whole), **known
        )


def _merged(defaults: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**{key: value for key, value in defaults.items() if key in KEYS and key not in NOT_DEFAULTS}, **data}
    for key in MERGED:
        under, over = defaults.get(key), data.get(key)
        if isinstance(under, dict) and isinstance(over, dict):
            merged[key] = {**under, **over}
    return merged


def _id(value: Any) -> str:
    name = a_text(value).strip()
    if not 0 < len(name) <= 200 or "\n" in name:
        raise Wrong("a short text")
    return name


def _zone(value: Any) -> tzinfo:
    try:
        return ZoneInfo(a_text(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong("the name of a time zone, as America/Los_Angeles") from None


def _place(value: Any) -> str:
    # Written without quotes, a code of two digits is a number.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) != 2 or not text.isdigit():
        raise Wrong("a two-digit code")
    return str(text)


def _state(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 2 or not value.isalpha():
        raise Wrong("two letters")
    return str(value).upper()
