"""A case put together by form: every field of the written format that a person needs, and the way there and back.

The form checks nothing that the format's own reader checks; it carries each problem that the reader finds to its field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

from django import forms
from django.http import QueryDict

from pain_clinic.texts import PlainField
from procedures.cases import CaseProblem
from procedures.rules.book import Book

UNSAID = ("", "not said")
YES_NO = [UNSAID, ("yes", "Yes"), ("no", "No")]
SIDES = [UNSAID, ("left", "Left"), ("right", "Right"), ("bilateral", "Both"), ("midline", "Midline")]
ROLES = [UNSAID, ("diagnostic", "Diagnostic"), ("therapeutic", "Therapeutic")]
MOST_ROWS = 40
# Procedures of one date: the first is typed among what is asked for, the others are rows.
SEVERAL, FIRST = "request.procedures", -1
DETAILS = (
    "procedure", "levels", "side", "role", "site", "drug", "dose_mg", "bilateral_reason", "guidance", "contrast", "technique",
    "temperature_c", "modic_type", "muscles", "body_areas", "bleeding_class",
)  # fmt: skip
TECHNIQUES = ("thermal", "cooled", "pulsed", "cryo", "chemical", "laser", "endoscopic", "low_temperature")
_WORDS = re.compile(r"[,;\n]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PATH = re.compile(r"(\w+)(?:\[(\d+)])?\.?(\w+)?")


def choices(*names: str) -> list[tuple[str, str]]:
    """Return choices with the words that people read."""
    return [UNSAID, *((name, words(name)) for name in names)]


def rare(*asks: Ask) -> tuple[Ask, ...]:
    """Return fields that few cases need: they stand folded away until something is in one."""
    return tuple(replace(ask, is_rare=True) for ask in asks)


def words(name: str) -> str:
    """Return a table's word as people read it."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Ask:
    """One field: its key in the written case, its label, and what is typed. `among` are the choices of a choice."""

    name: str
    label: str
    kind: str = "text"
    among: Sequence[Any] = ()
    hint: str = ""
    key: str = ""
    is_rare: bool = False

    def field(self) -> forms.Field:
        """Return the field."""
        common = {"label": self.label, "required": False, "help_text": self.hint}
        if self.kind == "choice":  # a function, since each form would copy a list
            return forms.ChoiceField(choices=lambda: self.among, **common)  # type: ignore[arg-type]
        if self.kind == "several":
            widget = forms.CheckboxSelectMultiple
            return forms.MultipleChoiceField(choices=[one for one in self.among if one[0]], widget=widget, **common)  # type: ignore[arg-type]
        if self.kind == "date":
            return forms.CharField(max_length=10, widget=forms.DateInput(attrs={"type": "date"}), **common)  # type: ignore[arg-type]
        if self.kind == "time":
            return forms.CharField(max_length=8, widget=forms.TimeInput(attrs={"type": "time"}), **common)  # type: ignore[arg-type]
        if self.kind == "number":
            number = forms.NumberInput(attrs={"step": "any"})
            return forms.FloatField(widget=number, **common)  # type: ignore[arg-type]
        if self.kind == "lines":
            rows = forms.Textarea(attrs={"rows": 2})
            return PlainField(max_length=2000, widget=rows, **common)  # type: ignore[arg-type]
        return PlainField(max_length=300, **common)  # type: ignore[arg-type]

    def value(self, typed: Any) -> Any:
        """Return what was typed as the written case has it; None where nothing was."""
        if typed in (None, "", []):
            return None
        if self.kind in ("words", "lines"):
            return [part.strip() for part in _WORDS.split(typed) if part.strip()]
        if self.kind == "score":
            return float(typed) if _NUMBER.fullmatch(typed) else typed
        if self.kind == "number":
            return int(typed) if typed.is_integer() else typed
        return typed

    def typed(self, value: Any) -> Any:
        """Return a value of the written case as the field shows it."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if self.kind in ("words", "lines"):
            return (", " if self.kind == "words" else "\n").join([value] if isinstance(value, str) else value)
        return value


@dataclass(frozen=True)
class Part:
    """Some fields that stand together: one mapping of the written case (`path`), or a list of mappings (`is_rows`)."""

    path: str
    title: str
    asks: tuple[Ask, ...]
    is_rows: bool = False
    is_open: bool = False
    one: str = ""
    said: str = ""

    @cached_property
    def form(self) -> type[forms.Form]:
        """Return the form of one mapping."""
        return type("PartForm", (forms.Form,), {ask.name: ask.field() for ask in self.asks})


@lru_cache(maxsize=2)  # the clinic's book, and the one before it was changed
def parts_of(book: Book, named: tuple[tuple[str, str], ...]) -> tuple[Part, ...]:
    """Return everything that may be said of a case, with the words of a book and the clinic's names of its procedures."""
    names = dict(named)
    offered = sorted(((names.get(code, words(code)), code) for code in book.offers), key=lambda pair: pair[0].casefold())
    procedures = [UNSAID, *((code, name) for name, code in offered)]
    covered = [UNSAID, *((name, f"{words(name)} (family)") for name in sorted(book.families)), *procedures[1:]]
    steroids = [UNSAID, ("none", "None"), *((name, words(name)) for name in sorted(book.steroid_ids))]
    drugs = [UNSAID, *((name, words(name)) for name in sorted(book.drug_ids))]
    payers = [UNSAID, ("none", "No payer rules"), *((name, words(name)) for name in sorted(book.payer_sets))]
    intakes = choices(*sorted(book.intakes))
    target = (
        Ask("levels", "Levels", "words", hint="As L4-L5, L5-S1; several with commas."),
        Ask("side", "Side", "choice", SIDES),
        Ask("role", "Role", "choice", ROLES),
        Ask("site", "Joint or body part"),
        Ask("drug", "Steroid", "choice", steroids),
        Ask("dose_mg", "Dose in mg", "number"),
    )
    return (
        Part(
            "request", "What is asked for", (
                Ask("procedure", "Procedure", "choice", procedures), *target[:2],
                Ask("date", "Date", "date"),
                Ask("time", "Start", "time", hint="Where hours matter: blood thinners, fasting."),
                *target[2:],
                Ask("sedation", "Sedation", "choice", choices("none", "minimal", "moderate", "deep", "mac", "general")),
                Ask("guidance", "Guidance", "choice", choices("fluoroscopy", "ct", "ultrasound", "mri", "none")),
                Ask("contrast", "Contrast", "choice", choices("iodinated", "gadolinium", "none")),
            ), is_open=True,
        ),
        Part(
            SEVERAL, "Also done on the same day", (
                Ask("procedure", "Procedure", "choice", procedures), *target,
                *rare(
                    Ask("guidance", "Guidance", "choice", choices("fluoroscopy", "ct", "ultrasound", "mri", "none")),
                    Ask("contrast", "Contrast", "choice", choices("iodinated", "gadolinium", "none")),
                    Ask("bilateral_reason", "Why both sides"), Ask("body_areas", "Body areas", "words"),
                    Ask("muscles", "Muscles", "words"),
                    Ask("technique", "Technique of the lesion", "choice", choices(*TECHNIQUES)),
                    Ask("temperature_c", "Temperature in °C", "number"), Ask("modic_type", "Modic type", "number"),
                    Ask("bleeding_class", "Bleeding class", "choice", choices("low", "intermediate", "high")),
                ),
            ), is_rows=True, one="Procedure", said="Nothing else.",
        ),
        Part(
            "coverage", "Who pays, and where it is done", (
                Ask("payer_rules", "Payer's rules", "choice", payers),
                Ask("plan_type", "Plan", "choice", choices("original_medicare", "medicare_advantage", "commercial", "self_pay")),
                Ask("state", "State", key="request", hint="Two letters."),
                Ask("place_of_service", "Place of service", key="request", hint="Two digits; 11 is the office."),
                Ask("year_anchor", "Plan year starts", "date"),
                Ask("site_reason", "Why not in the office", key="request"),
            ), is_open=True,
        ),
        Part(
            "history", "What was done or is booked", (
                Ask("date", "Date", "date"),
                Ask("procedure", "Procedure", "choice", [*procedures, ("other", "Another injection")]),
                *target[:3],
                Ask("status", "State", "choice", choices("performed", "booked", "cancelled", "no_show")),
                Ask("relief", "Relief in %", "number"), Ask("held_until", "Held until", "date"),
                Ask("function_gain", "Better function in %", "number"),
                *rare(
                    *target[3:], Ask("elsewhere", "Done elsewhere", "choice", YES_NO), Ask("indication", "Indication"),
                    Ask("before", "Score before", "score"), Ask("after", "Score after", "score"),
                    Ask("function_improved", "Function improved", "choice", YES_NO),
                    Ask("medication_reduced", "Medicine reduced", "choice", YES_NO),
                    Ask("medication_reduction", "Less medicine in %", "number"),
                    Ask("relief_matched_agent", "Relief fitted the anaesthetic", "choice", YES_NO),
                    Ask("kx", "Billed with KX", "choice", YES_NO), Ask("lead_removed", "Lead removed on", "date"),
                    Ask("follow_up", "Later records", "lines", hint="One a line: 2027-01-20 60, percent relief on a day."),
                ),
            ), is_rows=True, one="Session", said="Nothing was done before.",
        ),
        Part(
            "medications", "Blood thinners and the like", (
                Ask("drug", "Drug", "choice", drugs),
                Ask("last_dose", "Last dose", hint="2027-03-12, or 2027-03-12T09:00."),
                Ask("still_taking", "Still taken", "choice", YES_NO), Ask("dose", "Dose"), Ask("indication", "For what"),
                Ask("prescriber_clearance", "Prescriber's clearance", "choice", YES_NO),
                Ask("decision_recorded", "Decision recorded", "choice", YES_NO),
            ), is_rows=True, one="Medicine", said="None is taken.",
        ),
        Part(
            "patient", "Patient", (
                Ask("sex", "Sex", "choice", choices("female", "male", "other")), Ask("age", "Age", "number"),
                Ask("pregnant", "Pregnant", "choice", [*YES_NO, ("unknown", "Unknown")]),
                Ask("conditions", "Conditions", "several", choices("diabetes", "osteoporosis", "osteopenia", "postmenopausal")),
                Ask("bleeding_risk_factors", "What raises the risk of bleeding", "words"),
                Ask("infection", "Infection", "choice", choices("active", "none")),
                Ask("antibiotics_until", "Antibiotics until", "date"),
                Ask("glp1", "GLP-1 medicine", "choice", choices("weekly", "daily", "none")),
            ),
        ),
        Part(
            "presentation", "The problem treated", (
                Ask("indication", "Indication", hint="As the tables write it; left out, a covered one."), Ask("icd10", "ICD-10"),
                Ask("pain_weeks", "Weeks of pain", "number"), Ask("conservative_weeks", "Weeks of conservative care", "number"),
                Ask("pain_score", "Pain, 0 to 10", "number"), Ask("provocation_tests", "Positive provocation tests", "number"),
                Ask("imaging_months", "Age of the imaging in months", "number"),
                Ask("episode_started", "Episode of care began", "date"),
                Ask("missing", "Not met or not on file", "lines", hint="Words of the tables; left out, everything is."),
            ),
        ),
        Part(
            "coverage.authorizations", "Authorisations", (
                Ask("covers", "For", "choice", covered),
                Ask("status", "State", "choice", choices("approved", "pending", "refused")),
                Ask("decided", "Decided on", "date"), Ask("valid_until", "Valid until", "date"),
            ), is_rows=True, one="Authorisation", said="The payer has authorised nothing.",
        ),
        Part(
            "labs", "Results", (
                Ask("test", "Test", "choice", choices("inr", "crcl", "hba1c", "glucose")), Ask("date", "Date", "date"),
                Ask("value", "Value", "number"),
            ), is_rows=True, one="Result", said="None is on file.",
        ),
        Part(
            "allergies", "Allergies", (
                Ask("agent", "To what", "choice", choices("iodinated_contrast", "shellfish", "steroid_preservative")),
                Ask("severity", "How bad", "choice", choices("mild", "moderate", "severe")),
            ), is_rows=True, one="Allergy", said="None that matters here.",
        ),
        Part(
            "implants", "Implanted devices", (
                Ask("device", "Device", "choice", choices("pacemaker", "icd", "scs", "dbs", "it_pump")),
                Ask("device_plan", "Plan recorded", "choice", YES_NO),
            ), is_rows=True, one="Device", said="None.",
        ),
        Part(
            "vaccines", "Vaccines", (
                Ask("type", "Kind", "choice", choices("covid_mrna", "covid_vector", "live", "inactivated")),
                Ask("date", "Date", "date"),
            ), is_rows=True, one="Vaccine", said="None given or planned.",
        ),
        Part(
            "patient.stents", "Coronary stents", (
                Ask("kind", "Kind", "choice", choices("drug_eluting", "bare")), Ask("placed", "Placed on", "date"),
                Ask("after_acs", "After an acute coronary syndrome", "choice", YES_NO),
            ), is_rows=True, one="Stent", said="None.",
        ),
        Part(
            "patient.planned_surgery", "Planned operations", (
                Ask("kind", "Kind", "choice", choices("arthroplasty")), Ask("site", "Where"), Ask("date", "Date", "date"),
            ), is_rows=True, one="Operation", said="None.",
        ),
        Part(
            "request.intake", "What was eaten or drunk", (
                Ask("what", "What", "choice", intakes), Ask("end", "Until", hint="2027-01-11T06:00."),
            ), is_rows=True, one="Meal or drink", said="Nothing that is told.",
        ),
        Part(
            "", "The day, and reasons", (
                Ask("as_of", "Booked on", hint="2027-01-04, or 2027-01-04T09:30; left out: today."),
                Ask("driver", "A driver comes", "choice", YES_NO, key="request"),
                Ask("rationale", "Why this, now", key="request"),
                Ask("bilateral_reason", "Why both sides", key="request"),
                Ask("planned_series", "One of a fixed series", "choice", YES_NO, key="request"),
                Ask("body_areas", "Body areas", "words", key="request"), Ask("muscles", "Muscles", "words", key="request"),
                Ask("technique", "Technique of the lesion", "choice", choices(*TECHNIQUES), key="request"),
                Ask("temperature_c", "Temperature in °C", "number", key="request"),
                Ask("modic_type", "Modic type", "number", key="request"),
                Ask("bleeding_class", "Bleeding class", "choice", choices("low", "intermediate", "high"), key="request",
                    hint="Only where the catalogue leaves it to the target."),
                Ask("premedication", "Contrast premedication", "choice", choices("oral_prednisone", "oral_methylprednisolone",
                    "iv_accelerated", "none"), key="request"),
            ),
        ),
    )  # fmt: skip


@dataclass(slots=True)
class Shown:
    """One part as the page shows it."""

    part: Part
    form: forms.Form | None
    rows: list[forms.Form]
    count_name: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether the part shows at once: an important one, one with rows, one with something in it or with a problem."""
        if self.form is None:
            return bool(self.rows)
        return self.part.is_open or bool(self.form.errors) or any(_has(self.form, name) for name in self.form.fields)

    @property
    def more(self) -> str:
        """Return what the button for further rows sends."""
        return self.count_name.removesuffix("-many")

    @property
    def filled(self) -> int:
        """Return how many rows have something in them."""
        return sum(any(_has(row, name) for name in row.fields) for row in self.rows)

    @property
    def folded(self) -> list[tuple[forms.Form, list[forms.BoundField], list[forms.BoundField], bool]]:
        """Return each row with its usual fields, its rare ones, and whether one of these says something."""
        rare_names = {ask.name for ask in self.part.asks if ask.is_rare}
        return [
            (
                row,
                [row[name] for name in row.fields if name not in rare_names],
                [row[name] for name in row.fields if name in rare_names],
                any(_has(row, name) or name in row.errors for name in rare_names),
            )
            for row in self.rows
        ]

    @property
    def all(self) -> list[forms.Form]:
        """Return the forms of the part."""
        return [self.form] if self.form is not None else self.rows


class AssessForm:
    """The whole page's form."""

    def __init__(
        self,
        book: Book,
        data: QueryDict | None = None,
        case: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.parts: list[Shown] = []
        self.problems: list[str] = []
        self._places: dict[str, list[int]] = {}
        more = data.get("more", "") if data is not None else ""
        case = None if case is None else _taken_apart(case)
        for part in parts_of(book, tuple(sorted((names or {}).items()))):
            prefix = part.path.replace(".", "-") or "more"
            if not part.is_rows:
                start = _start(part, case) if case is not None else None
                self.parts.append(Shown(part, part.form(data, prefix=prefix, initial=start), []))
                continue
            held: list[Any] = _at(case, part.path) or [] if case is not None else []
            is_asked = more == prefix
            many = (_count(data, prefix) if data is not None else len(held)) + is_asked
            rows = []
            for place in range(min(many, MOST_ROWS)):
                start = _row_start(part, held[place]) if place < len(held) else {}
                rows.append(part.form(data, prefix=f"{prefix}-{place}", initial=start))
            if is_asked:  # who asked for a row types there next
                next(iter(rows[-1].fields.values())).widget.attrs["autofocus"] = True
            self.parts.append(Shown(part, None, rows, f"{prefix}-many"))

    def is_valid(self) -> bool:
        """Say whether everything has the shape of its field."""
        # A list, so that every form is asked and every fault told.
        return all([form.is_valid() for shown in self.parts for form in shown.all])  # noqa: C419

    def case(self, today: date) -> dict[str, Any]:
        """Return the case that was put together."""
        found: dict[str, Any] = {"id": "case"}
        for shown in self.parts:
            if shown.form is not None:
                for ask in shown.part.asks:
                    _put(found, ask.key or shown.part.path, ask.name, ask.value(shown.form.cleaned_data[ask.name]))
                continue
            rows, self._places[shown.part.path] = [], []
            for place, form in enumerate(shown.rows):
                row = {
                    ask.name: value for ask in shown.part.asks if (value := ask.value(form.cleaned_data[ask.name])) is not None
                }
                if row and not _is_later(row, found):
                    rows.append(_with_records(row))
                    self._places[shown.part.path].append(place)
            if rows:
                _put(found, shown.part.path.rpartition(".")[0], shown.part.path.rpartition(".")[2], rows)
        request = found.setdefault("request", {})
        if "time" in request:
            request["starts_at"] = f"{request.pop('date', '')}T{request.pop('time')}"
        self._put_together(request)
        found.setdefault("as_of", today.isoformat())
        return found

    def _put_together(self, request: dict[str, Any]) -> None:
        """Make one list of the procedures of the day, where there are several."""
        others = request.pop("procedures", [])
        if others:
            first = {name: request.pop(name) for name in DETAILS if name in request}
            request["procedures"] = [*([first] if first else []), *others]
            self._places[SEVERAL] = [*([FIRST] if first else []), *self._places[SEVERAL]]

    def refuse(self, problems: Iterable[CaseProblem]) -> None:
        """Carry what the reader found to the fields; what has none stands above all."""
        for problem in problems:
            form, name = self._field(problem.field)
            text = problem.expected[:1].upper() + problem.expected[1:]
            if form is not None and name in form.fields:
                form.add_error(name, f"{text}.")
            else:
                self.problems.append(f"{problem.field}: {text}.")

    @property
    def errors(self) -> list[tuple[str, str, str]]:
        """Return what is to be put right: the field's id, its label, the words."""
        found = [("", "", text) for text in self.problems]
        for shown in self.parts:
            for form in shown.all:
                for name, texts in form.errors.items():
                    field = form[name]
                    found += [(field.id_for_label or field.auto_id, str(field.label), str(text)) for text in texts]
        return found

    def _field(self, path: str) -> tuple[forms.Form | None, str]:
        for shown in self.parts:
            part = shown.part
            if part.is_rows and path.startswith(f"{part.path}["):
                match = _PATH.match(path[len(part.path.rpartition(".")[0]) :].lstrip("."))
                if match and match[2]:
                    if self._places[part.path][int(match[2]) - 1] == FIRST:
                        return self._field(f"request.{match[3] or 'procedure'}")
                    form = shown.rows[self._places[part.path][int(match[2]) - 1]]
                    name = match[3] or ""
                    return form, name if name in form.fields else part.asks[0].name
        begins, _, name = path.rpartition(".")
        name = {"starts_at": "time"}.get(name.partition("[")[0], name.partition("[")[0])
        for shown in self.parts:
            if shown.form is not None and name in shown.form.fields:
                ask = next(one for one in shown.part.asks if one.name == name)
                if (ask.key or shown.part.path) == begins:
                    return shown.form, name
        return None, ""


def _is_later(row: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    """Say whether it is a session booked for the day asked for, or after it: no rule looks ahead, and a case holds none."""
    asked = case.get("request", {}).get("date", "")
    return row.get("status") == "booked" and bool(asked) and str(row.get("date", "")) >= asked


def _has(form: forms.Form, name: str) -> bool:
    return form[name].value() not in (None, "", [])


def _count(data: QueryDict, prefix: str) -> int:
    given = data.get(f"{prefix}-many", "")
    return min(int(given), MOST_ROWS) if given.isdecimal() else 0


def _at(case: Mapping[str, Any], path: str) -> Any:
    held: Any = case
    for name in filter(None, path.split(".")):
        held = held.get(name, {}) if isinstance(held, Mapping) else {}
    return held


def _put(case: dict[str, Any], path: str, name: str, value: Any) -> None:
    if value is None:
        return
    held = case
    for step in filter(None, path.split(".")):
        held = held.setdefault(step, {})
    held[name] = value


def _taken_apart(case: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a case whose first procedure stands among what is asked for, as the form has it, and the others beside it."""
    request = case.get("request", {})
    if not request.get("procedures"):
        return case
    first, *others = request["procedures"]
    return {**case, "request": {**request, **first, "procedures": others}}


def _start(part: Part, case: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for ask in part.asks:
        held = dict(_at(case, ask.key or part.path))
        if "starts_at" in held:
            held["date"], _, held["time"] = held["starts_at"].partition("T")
        if ask.name in held:
            found[ask.name] = ask.typed(held[ask.name])
    return found


def _row_start(part: Part, row: Mapping[str, Any]) -> dict[str, Any]:
    held = dict(row)
    if "follow_up" in held:
        held["follow_up"] = [_record_told(one) for one in held["follow_up"]]
    return {ask.name: ask.typed(held[ask.name]) for ask in part.asks if ask.name in held}


def _record_told(one: Mapping[str, Any]) -> str:
    return " ".join(str(one[name]) for name in ("date", "relief", "function_gain") if name in one)


def _with_records(row: dict[str, Any]) -> dict[str, Any]:
    """Take the later records of a session apart: a day, its relief, perhaps its gain of function."""
    if "follow_up" not in row:
        return row
    records = []
    for line in row["follow_up"]:
        day, *figures = line.replace("%", "").split()
        record: dict[str, Any] = {"date": day}
        for name, figure in zip(("relief", "function_gain"), figures, strict=False):
            record[name] = float(figure) if _NUMBER.fullmatch(figure) else figure
        records.append(record)
    return {**row, "follow_up": records}
