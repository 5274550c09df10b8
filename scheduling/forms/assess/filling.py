"""A case put together by form: every field of the written format that a person needs, and the way there and back.

The form checks nothing that the format's own reader checks; it carries each problem that the reader finds to its field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict

from procedures.cases import CaseProblem
from procedures.rules.book import Book
from scheduling.forms.assess.asks import FIRST, NUMBER, SEVERAL, Part
from scheduling.forms.assess.parts import parts_of
from scheduling.forms.assess.starting import at_path, row_start, start_of, taken_apart

MOST_ROWS = 40
DETAILS = (
    "procedure", "levels", "side", "role", "site", "drug", "dose_mg", "bilateral_reason", "guidance", "contrast", "technique",
    "temperature_c", "modic_type", "muscles", "body_areas", "bleeding_class",
)  # fmt: skip
_PATH = re.compile(r"(\w+)(?:\[(\d+)])?\.?(\w+)?")


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
        case = None if case is None else taken_apart(case)
        for part in parts_of(book, tuple(sorted((names or {}).items()))):
            prefix = part.path.replace(".", "-") or "more"
            if not part.is_rows:
                start = start_of(part, case) if case is not None else None
                self.parts.append(Shown(part, part.form(data, prefix=prefix, initial=start), []))
                continue
            held: list[Any] = at_path(case, part.path) or [] if case is not None else []
            is_asked = more == prefix
            many = (_count(data, prefix) if data is not None else len(held)) + is_asked
            rows = []
            for place in range(min(many, MOST_ROWS)):
                start = row_start(part, held[place]) if place < len(held) else {}
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
            said = problem.expected.replace("as_of", "the day of booking")
            text = said[:1].upper() + said[1:]
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


def _put(case: dict[str, Any], path: str, name: str, value: Any) -> None:
    if value is None:
        return
    held = case
    for step in filter(None, path.split(".")):
        held = held.setdefault(step, {})
    held[name] = value


def _with_records(row: dict[str, Any]) -> dict[str, Any]:
    """Take the later records of a session apart: a day, its relief, perhaps its gain of function."""
    if "follow_up" not in row:
        return row
    records = []
    for line in row["follow_up"]:
        day, *figures = line.replace("%", "").split()
        record: dict[str, Any] = {"date": day}
        for name, figure in zip(("relief", "function_gain"), figures, strict=False):
            record[name] = float(figure) if NUMBER.fullmatch(figure) else figure
        records.append(record)
    return {**row, "follow_up": records}
