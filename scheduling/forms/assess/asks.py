"""One field of a written case: what it is called, how it is typed, and the way between the two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django import forms

from pain_clinic.texts import PlainField

UNSAID = ("", "not said")
YES_NO = [UNSAID, ("yes", "Yes"), ("no", "No")]
SIDES = [UNSAID, ("left", "Left"), ("right", "Right"), ("bilateral", "Both"), ("midline", "Midline")]
ROLES = [UNSAID, ("diagnostic", "Diagnostic"), ("therapeutic", "Therapeutic")]
# Procedures of one date: the first is typed among what is asked for, the others are rows.
SEVERAL, FIRST = "request.procedures", -1
_WORDS = re.compile(r"[,;\n]")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


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
            return float(typed) if NUMBER.fullmatch(typed) else typed
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
