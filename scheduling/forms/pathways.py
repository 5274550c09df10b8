"""The form of a pathway: its steps and the ways between them, intervals, gates, counts and its switch, with why it is changed.

The form carries the shape that the pathway has been given so far: buttons that add, move and take away answer with the
form of the new shape, and nothing is saved before somebody says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from pain_clinic.texts import PlainField
from procedures import families
from procedures.models import ClinicPathway, Procedure
from procedures.pathwayrows import (
    GATES,
    MORE,
    PER,
    SPANS,
    UNITS,
    Span,
    UnusablePathway,
    Wish,
    carried,
    gate_told,
    read_span,
    span_told,
    ways_of,
)
from procedures.pathways import Owner

SPAN_WORDS = {"earliest": "Not before", "ideal": "Best", "latest": "Until", "expires": "Lapses after"}
SPAN_HINTS = {"ideal": "Empty: a week after the first day.", "latest": "Empty: six weeks after the first day."}
ASKED = [("yes", "Asked"), ("no", "Not asked")]
NO_YES = [("no", "No"), ("yes", "Yes")]
ROLES = [("", "not told apart"), ("diagnostic", "Diagnostic"), ("therapeutic", "Therapeutic")]
CHANGES = [("approach", "approach"), ("level", "level"), ("medication", "medication")]
OWNERS = [(owner.value, owner.value) for owner in Owner]
KINDS_OF_A_STEP = 3
LONGEST_SHAPE = 60_000  # letters of the shape that a form carries
BEGINS = ("on_file", "authorised", "review")


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
class GatePart:
    """The fields of one gate, and its name."""

    name: str
    fields: tuple[forms.BoundField, ...]


@dataclass(frozen=True, slots=True)
class WayPart:
    """The fields of one way, or of what a step asks before a course begins with it."""

    name: str
    title: str
    fields: tuple[forms.BoundField, ...]
    gates: tuple[GatePart, ...]
    more: forms.BoundField
    is_first: bool = True
    is_last: bool = True
    is_way: bool = True
    is_held: bool = False  # booked together: it cannot be taken away


@dataclass(frozen=True, slots=True)
class StepPart:
    """The fields of one step with everything that leads on from it."""

    name: str
    number: int
    title: str
    fields: tuple[forms.BoundField, ...]
    begins: WayPart | None
    ways: tuple[WayPart, ...]
    to: forms.BoundField
    is_first: bool
    is_last: bool
    is_touched: bool


class PathwayEditForm(forms.Form):
    """What a physician may set of one pathway."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    shape = forms.CharField(widget=forms.HiddenInput, required=False, max_length=LONGEST_SHAPE)
    reason = PlainField(label="Why it is changed", max_length=300)
    is_enabled = forms.TypedChoiceField(
        label="Switched on", choices=[("yes", "Yes"), ("no", "No")], coerce=lambda word: word == "yes",
        help_text="Off: no course starts on it, and those that run on it stop until it is on again.",
    )  # fmt: skip

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        row: ClinicPathway,
        base: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        touched: str = "",
    ) -> None:
        self.row, self.touched = row, touched
        self.base: Mapping[str, Any] = row.data if base is None else base
        limit = self.base.get("limit", {})
        values: dict[str, Any] = {
            "version": row.version, "is_enabled": "yes" if row.is_enabled else "no", "most": limit.get("most"),
            "months": limit.get("months"), "per": limit.get("per", "site"), "counted": limit.get("families", []),
            "staging": span_told(self.base.get("staging")), "shape": json.dumps(self.base),
        }  # fmt: skip
        super().__init__(data, initial={**values, **(start or {})})
        self._steps = [(step["id"], step["name"]) for step in self.base["steps"]]
        codes = set(Procedure.objects.values_list("family", flat=True)) | self._families()
        self._kinds = families.choices(codes)
        self._add_general()
        for place, step in enumerate(self.base["steps"]):
            self._add_step(step, is_first=place == 0)
        for name, _, way in ways_of(self.base):
            self._add_way(name, way)
        self.fields["new_name"] = PlainField(label="One more step", max_length=60, required=False)
        self.fields["new_family"] = forms.ChoiceField(
            label="What is done in it", required=False, choices=[("", "choose"), *self._kinds]
        )

    @classmethod
    def sent(cls, data: QueryDict, *, row: ClinicPathway) -> PathwayEditForm:
        """Return the form that somebody sent, in the shape that it carries.

        Raises:
            UnusablePathway: the shape is none.
        """
        text = data.get("shape", "")
        if not text:
            return cls(data, row=row)
        try:
            base = json.loads(text) if len(text) <= LONGEST_SHAPE else None
        except ValueError:
            base = None
        if not isinstance(base, dict):
            raise UnusablePathway("What the form carried cannot be read. Begin again.")
        return cls(data, row=row, base=carried(row, base))

    # --- its fields ---

    def _families(self) -> set[str]:
        return {family for step in self.base["steps"] for family in step["families"]}

    def _add_general(self) -> None:
        if "staging" in self.row.data:
            self.fields["staging"] = SpanField(label="Between two sides on two dates", required=True)
        self.fields["most"] = forms.IntegerField(
            label="At most so many sessions", min_value=1, max_value=99, required=False, help_text="Empty: no limit of its own."
        )
        self.fields["months"] = forms.IntegerField(label="within so many months", min_value=1, max_value=120, required=False)
        self.fields["per"] = forms.ChoiceField(label="for", choices=list(PER.items()))
        mine = self._families() | set(self.base.get("limit", {}).get("families", ()))
        if len(mine) > 1:
            self.fields["counted"] = forms.MultipleChoiceField(
                label="What the limit counts", required=False, choices=families.choices(mine),
                widget=forms.CheckboxSelectMultiple, help_text="None ticked: everything that the steps do.",
            )  # fmt: skip

    def _add_step(self, step: Mapping[str, Any], *, is_first: bool) -> None:
        here = step["id"]
        self._put(f"{here}.name", PlainField(label="Name of the step", max_length=60), step["name"])
        for place in range(KINDS_OF_A_STEP):
            told = "What is done in it" if place == 0 else "or"
            field = forms.ChoiceField(
                label=told, required=place == 0, choices=[("", "nothing else" if place else "choose"), *self._kinds]
            )
            self._put(f"{here}.family_{place}", field, step["families"][place] if place < len(step["families"]) else "")
        self._put(f"{here}.role", forms.ChoiceField(label="What for", required=False, choices=ROLES), step.get("role", ""))
        if "staging" in self.row.data:
            field = forms.ChoiceField(label="Two sides may be on two dates", choices=NO_YES)
            self._put(f"{here}.is_staged", field, "yes" if step.get("is_staged") else "no")
        targets = [("", "choose"), *self._steps]
        self._put(f"{here}.to", forms.ChoiceField(label="One more way on, to", required=False, choices=targets), "")
        gates = step.get("begins", {}).get("gates", [])
        self._add_gates(f"{here}.begins", gates)
        if is_first or gates:
            self._add_more(f"{here}.begins", BEGINS)

    def _add_way(self, name: str, way: Mapping[str, Any]) -> None:
        self._put(f"{name}.why", PlainField(label="What this way is for", max_length=120), way["why"])
        for kind in SPANS:
            self._put(
                f"{name}.{kind}", SpanField(label=SPAN_WORDS[kind], help_text=SPAN_HINTS.get(kind, "")), span_told(way.get(kind))
            )
        self._put(
            f"{name}.off",
            forms.ChoiceField(label="This way", choices=[("no", "On"), ("yes", "Off")]),
            "yes" if way.get("is_off") else "no",
        )
        self._add_gates(name, way["gates"])
        self._add_more(name, MORE)

    def _add_more(self, name: str, kinds: Any) -> None:
        choices = [("", "none"), *((kind, GATES[kind]) for kind in kinds)]
        self._put(f"{name}.more", forms.ChoiceField(label="One more gate", required=False, choices=choices), "")

    def _add_gates(self, name: str, gates: Any) -> None:
        for place, gate in enumerate(gates):
            start = f"{name}.gates.{place}"
            told = gate_told(gate, dict(self._steps)) if _is_told(gate) else "not said yet"
            field = forms.ChoiceField(
                label=f"Gate: {GATES[gate['kind']]}", choices=ASKED, help_text=f"{told[:1].upper()}{told[1:]}."
            )
            self._put(f"{start}.on", field, "no" if gate.get("is_off") else "yes")
            for key, more, value in self._of_gate(gate):
                self._put(f"{start}.{key}", more, value)

    def _of_gate(self, gate: Mapping[str, Any]) -> Iterator[tuple[str, forms.Field, Any]]:
        """Give what may be set of one gate: name, field, value."""
        kind = gate["kind"]
        if "pct" in gate:
            yield "pct", forms.IntegerField(label="Per cent", min_value=1, max_value=100), gate["pct"]
        if kind == "relief":
            length = {unit: gate[unit] for unit in UNITS if unit in gate}
            yield "for", SpanField(label="for at least", help_text="Empty: that it was reached is enough."), span_told(length)
            yield (
                "or_function",
                forms.ChoiceField(label="or better function", choices=NO_YES),
                "yes" if gate.get("or_function") else "no",
            )
            after = forms.MultipleChoiceField(
                label="After", required=False, choices=self._steps, widget=forms.CheckboxSelectMultiple,
                help_text="None ticked: after the last session.",
            )  # fmt: skip
            yield "after", after, gate.get("after", [])
        elif kind == "changed":
            yield "of", forms.MultipleChoiceField(label="What", choices=CHANGES, widget=forms.CheckboxSelectMultiple), gate["of"]
        elif kind == "longer":
            yield "than", forms.ChoiceField(label="than after", choices=self._steps), gate["than"]
        elif kind == "on_file":
            yield "what", PlainField(label="What", max_length=80), gate["what"]
            yield "owner", forms.ChoiceField(label="Who sees to it", choices=OWNERS), gate.get("owner", Owner.DESK.value)
        elif kind == "no_more_medicine":
            yield "after", forms.ChoiceField(label="than before", choices=self._steps), gate["after"]
        elif kind == "review":
            yield "of", PlainField(label="What is looked at", max_length=120), gate["of"]

    def _put(self, name: str, field: forms.Field, value: Any) -> None:
        self.fields[name] = field
        self.initial[name] = value

    # --- how it is laid out ---

    @property
    def is_reshaped(self) -> bool:
        """Say whether it has another shape than what is kept."""
        return self.base != self.row.data

    def general(self) -> list[forms.BoundField]:
        """Return the fields of the pathway as a whole."""
        return [self[name] for name in ("is_enabled", "staging", "most", "months", "per", "counted") if name in self.fields]

    def parts(self) -> Iterator[StepPart]:
        """Give the fields of each step with its ways, in the pathway's order."""
        names = dict(self._steps)
        for place, step in enumerate(self.base["steps"]):
            here = step["id"]
            ways = step["then"]
            yield StepPart(
                name=here,
                number=place + 1,
                title=step["name"],
                fields=self._bound(here, "name", *(f"family_{n}" for n in range(KINDS_OF_A_STEP)), "role", "is_staged"),
                begins=self._part(f"{here}.begins", "", step.get("begins", {}).get("gates", [])),
                ways=tuple(
                    self._laid(f"{here}.{n}", names[way["to"]], way, n, len(ways), is_held=step.get("pairs_with") == way["to"])
                    for n, way in enumerate(ways)
                ),
                to=self[f"{here}.to"],
                is_first=place == 0,
                is_last=place == len(names) - 1,
                is_touched=here == self.touched,
            )

    def _part(self, name: str, title: str, gates: Any) -> WayPart | None:
        if f"{name}.more" not in self.fields:
            return None
        return WayPart(name, title, (), self._gate_parts(name, gates), self[f"{name}.more"], is_way=False)

    def _laid(self, name: str, to: str, way: Mapping[str, Any], place: int, count: int, *, is_held: bool) -> WayPart:
        return WayPart(
            name, to, self._bound(name, "why", *SPANS, "off"), self._gate_parts(name, way["gates"]), self[f"{name}.more"],
            is_first=place == 0, is_last=place == count - 1, is_held=is_held,
        )  # fmt: skip

    def _gate_parts(self, name: str, gates: Any) -> tuple[GatePart, ...]:
        keys = ("on", "pct", "for", "or_function", "than", "what", "owner", "of", "after")
        names = (f"{name}.gates.{place}" for place in range(len(gates)))
        return tuple(GatePart(start, self._bound(start, *keys)) for start in names)

    def _bound(self, start: str, *keys: str) -> tuple[forms.BoundField, ...]:
        return tuple(self[f"{start}.{key}"] for key in keys if f"{start}.{key}" in self.fields)

    # --- what was typed ---

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if bool(cleaned.get("most")) != bool(cleaned.get("months")) and not {"most", "months"} & set(self.errors):
            self.add_error("months", "Give both the number of sessions and the months, or neither.")
        return cleaned

    def kept(self) -> dict[str, Any]:
        """Return what of the form stays when its shape changes: what no step and no way has."""
        return {name: self.data.get(name, "") for name in ("version", "reason", "is_enabled")}

    def wish(self) -> Wish:
        """Return what was typed as the verb takes it."""
        given = self.cleaned_data
        spans: dict[str, Span | None] = {}
        gates: dict[str, dict[str, Any]] = {}
        for name, _, way in ways_of(self.base):
            spans |= {f"{name}.{kind}": given[f"{name}.{kind}"] for kind in SPANS}
            gates |= self._gates(name, way["gates"])
        for step in self.base["steps"]:
            gates |= self._gates(f"{step['id']}.begins", step.get("begins", {}).get("gates", []))
        ways = [name for name, _, _ in ways_of(self.base)]
        return Wish(
            is_enabled=given["is_enabled"],
            base=self.base,
            steps={name: self._step(name) for name, _ in self._steps},
            ways={name: {"why": given[f"{name}.why"]} for name in ways},
            spans=spans,
            gates=gates,
            more={name.removesuffix(".more"): kind for name, kind in given.items() if name.endswith(".more") and kind},
            ways_off=frozenset(name for name in ways if given[f"{name}.off"] == "yes"),
            staging=given.get("staging"),
            limit=self._limit(),
        )

    def _limit(self) -> dict[str, Any] | None:
        given = self.cleaned_data
        if not given["most"]:
            return None
        counted = given["counted"] if "counted" in given else self.base.get("limit", {}).get("families", [])
        in_order = [name for name in self.base.get("limit", {}).get("families", ()) if name in counted]
        in_order += [name for name in counted if name not in in_order]
        return {"most": given["most"], "months": given["months"], "per": given["per"], "families": in_order or None}

    def _step(self, name: str) -> dict[str, Any]:
        given = self.cleaned_data
        kinds = dict.fromkeys(given[f"{name}.family_{place}"] for place in range(KINDS_OF_A_STEP))
        values = {"name": given[f"{name}.name"], "families": [kind for kind in kinds if kind], "role": given[f"{name}.role"]}
        if f"{name}.is_staged" in given:
            values["is_staged"] = given[f"{name}.is_staged"] == "yes"
        return values

    def _gates(self, name: str, gates: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for place, gate in enumerate(gates):
            start = f"{name}.gates.{place}"
            values: dict[str, Any] = {"is_off": self.cleaned_data[f"{start}.on"] == "no"}
            for key, _, _ in self._of_gate(gate):
                value = self.cleaned_data[f"{start}.{key}"]
                if key == "for":
                    values |= dict.fromkeys(UNITS) | dict(value or {})
                elif key == "or_function":
                    values[key] = value == "yes"
                else:
                    values[key] = value
            found[start] = values
        return found


def _is_told(gate: Mapping[str, Any]) -> bool:
    """Say whether a gate says enough to be told in words."""
    return all(gate.get(name, " ") for name in ("of", "what", "than"))
