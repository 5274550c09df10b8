"""The form of a pathway: intervals, gates, counts and its switch, with why it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from pain_clinic.texts import PlainField
from procedures.models import ClinicPathway
from procedures.pathwayrows import GATES, MORE, SPANS, UNITS, Span, Wish, gate_told, read_span, span_told, ways_of

SPAN_WORDS = {"earliest": "Not before", "ideal": "Best", "latest": "Until", "expires": "Lapses after"}
SPAN_HINTS = {"ideal": "Empty: a week after the first day.", "latest": "Empty: six weeks after the first day."}
YES_NO = [("yes", "Asked"), ("no", "Not asked")]
PER = [("region", "one region"), ("site", "one level and side"), ("patient", "the patient")]


class SpanField(forms.CharField):
    """An interval as people write it."""

    def __init__(self, **values: Any) -> None:
        super().__init__(max_length=60, required=values.pop("required", False), **values)

    def clean(self, value: Any) -> Span | None:
        text: str = super().clean(value)
        try:
            return read_span(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Part:
    """The fields of one way, or of what a step asks before a course begins with it."""

    title: str
    told: str
    groups: tuple[tuple[forms.BoundField, ...], ...]


class PathwayEditForm(forms.Form):
    """What a physician may set of one pathway."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = PlainField(label="Why it is changed", max_length=300)
    is_enabled = forms.TypedChoiceField(
        label="Switched on", choices=[("yes", "Yes"), ("no", "No")], coerce=lambda word: word == "yes",
        help_text="Off: no course starts on it, and those that run on it stop until it is on again.",
    )  # fmt: skip

    def __init__(self, data: QueryDict | None = None, *, row: ClinicPathway) -> None:
        self.row = row
        limit = row.data.get("limit", {})
        start: dict[str, Any] = {
            "version": row.version, "is_enabled": "yes" if row.is_enabled else "no", "most": limit.get("most"),
            "months": limit.get("months"), "per": limit.get("per", "site"), "staging": span_told(row.data.get("staging")),
        }  # fmt: skip
        super().__init__(data, initial=start)
        if "staging" in row.data:
            self.fields["staging"] = SpanField(label="Between two sides on two dates", required=True)
        self.fields["most"] = forms.IntegerField(
            label="At most so many sessions", min_value=1, max_value=99, required=False, help_text="Empty: no limit of its own."
        )
        self.fields["months"] = forms.IntegerField(label="within so many months", min_value=1, max_value=120, required=False)
        self.fields["per"] = forms.ChoiceField(label="for", choices=PER)
        self._names: list[tuple[str, str, list[list[str]]]] = []
        for step in row.data["steps"]:
            gates = step.get("begins", {}).get("gates", [])
            if gates:
                added = self._add_gates(f"{step['id']}.begins", gates)
                self._names.append((f"Before {step['name']}", "asked where a course begins with it", added))
        for name, step, way in ways_of(row.data):
            self._add_way(name, step["name"], way)

    def _add_way(self, name: str, step: str, way: Any) -> None:
        names = []
        for kind in SPANS:
            key = f"{name}.{kind}"
            self.fields[key] = SpanField(label=SPAN_WORDS[kind], help_text=SPAN_HINTS.get(kind, ""))
            self.initial[key] = span_told(way.get(kind))
            names.append(key)
        gates = self._add_gates(name, way["gates"])
        more, switch = f"{name}.more", f"{name}.off"
        self.fields[more] = forms.ChoiceField(
            label="One more gate", required=False, choices=[("", "none"), *((kind, GATES[kind]) for kind in MORE)]
        )
        self.fields[switch] = forms.ChoiceField(label="This way", choices=[("no", "On"), ("yes", "Off")])
        self.initial[switch] = "yes" if way.get("is_off") else "no"
        to = next(one["name"] for one in self.row.data["steps"] if one["id"] == way["to"])
        self._names.append((f"After {step}: {to}", way["why"], [names, *gates, [more, switch]]))

    def _add_gates(self, name: str, gates: Any) -> list[list[str]]:
        groups = []
        for place, gate in enumerate(gates):
            start = f"{name}.gates.{place}"
            self.fields[f"{start}.on"] = forms.ChoiceField(
                label=f"Gate: {GATES[gate['kind']]}",
                choices=YES_NO,
                help_text=f"{gate_told(gate)[:1].upper()}{gate_told(gate)[1:]}.",
            )
            self.initial[f"{start}.on"] = "no" if gate.get("is_off") else "yes"
            names = [f"{start}.on"]
            groups.append(names)
            if "pct" in gate:
                self.fields[f"{start}.pct"] = forms.IntegerField(
                    label="Per cent", min_value=1, max_value=100, help_text=f"Of the gate {GATES[gate['kind']]}."
                )
                self.initial[f"{start}.pct"] = gate["pct"]
                names.append(f"{start}.pct")
            if gate["kind"] == "relief":
                self.fields[f"{start}.for"] = SpanField(label="for at least", help_text="Empty: that it was reached is enough.")
                self.initial[f"{start}.for"] = span_told({unit: gate[unit] for unit in UNITS if unit in gate})
                names.append(f"{start}.for")
        return groups

    def general(self) -> list[forms.BoundField]:
        """Return the fields of the pathway as a whole."""
        return [self[name] for name in ("is_enabled", "staging", "most", "months", "per") if name in self.fields]

    def parts(self) -> Iterator[Part]:
        """Give the fields of each way, in the pathway's order."""
        for title, told, groups in self._names:
            yield Part(title, told, tuple(tuple(self[name] for name in names) for names in groups))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if bool(cleaned.get("most")) != bool(cleaned.get("months")) and not {"most", "months"} & set(self.errors):
            self.add_error("months", "Give both the number of sessions and the months, or neither.")
        return cleaned

    def wish(self) -> Wish:
        """Return what was typed as the verb takes it."""
        given = self.cleaned_data
        spans: dict[str, Span | None] = {}
        gates: dict[str, dict[str, Any]] = {}
        for name, _, way in ways_of(self.row.data):
            spans |= {f"{name}.{kind}": given[f"{name}.{kind}"] for kind in SPANS}
            gates |= self._gates(name, way["gates"])
        for step in self.row.data["steps"]:
            gates |= self._gates(f"{step['id']}.begins", step.get("begins", {}).get("gates", []))
        ways = [name for name, _, _ in ways_of(self.row.data)]
        limit = {"most": given["most"], "months": given["months"], "per": given["per"]} if given["most"] else None
        return Wish(
            is_enabled=given["is_enabled"],
            spans=spans,
            gates=gates,
            more={name: given[f"{name}.more"] for name in ways if given[f"{name}.more"]},
            ways_off=frozenset(name for name in ways if given[f"{name}.off"] == "yes"),
            staging=given.get("staging"),
            limit=limit,
        )

    def _gates(self, name: str, gates: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for place, gate in enumerate(gates):
            start = f"{name}.gates.{place}"
            values: dict[str, Any] = {"is_off": self.cleaned_data[f"{start}.on"] == "no"}
            if "pct" in gate:
                values["pct"] = self.cleaned_data[f"{start}.pct"]
            if gate["kind"] == "relief":
                values |= dict.fromkeys(UNITS) | dict(self.cleaned_data[f"{start}.for"] or {})
            found[start] = values
        return found
