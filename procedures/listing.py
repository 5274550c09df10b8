"""Read the catalogue for its pages: the list, and one procedure with what it needs and where its values come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from procedures.catalogue import EDITABLE, needs_now
from procedures.families import name_of
from procedures.levels import ALL_REGIONS, SIDES, levels_offered, needs_levels
from procedures.models import Category, Guidance, NeedKind, NeedLeg, Procedure, Sedation

WORDS_FOR = {"max_levels": "most levels at once", "is_offered": "offered", "is_retired": "retired"}


@dataclass(frozen=True, slots=True)
class Row:
    """One procedure in the list."""

    name: str
    short_name: str
    code: str
    category: str
    family: str
    family_words: str
    codes: str
    minutes: str
    guidance: str
    is_offered: bool
    is_retired: bool
    url: str
    switch_url: str


@dataclass(frozen=True, slots=True)
class Group:
    """The procedures of one category."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ListPage:
    """The catalogue as asked for."""

    groups: tuple[Group, ...]
    found: int
    offered: int
    is_filtered: bool
    may_change: bool
    here: str


@dataclass(frozen=True, slots=True)
class Need:
    """One need in words."""

    what: str
    count: int
    legs: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A value of the clinic's own, beside what the table says."""

    name: str
    clinic: str
    table: str


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the stay."""

    kind: str
    name: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row of the table comes from."""

    title: str
    url: str
    note: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One procedure, whole."""

    name: str
    short_name: str
    code: str
    category: str
    family: str
    is_offered: bool
    is_retired: bool
    version: int
    legs: tuple[Leg, ...]
    stay_minutes: int
    needs: tuple[Need, ...]
    target: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    instructions: tuple[str, ...]
    notes: str
    edits: tuple[Edit, ...]
    sources: tuple[Source, ...]
    verified: bool
    unverified: str
    may_change: bool
    list_url: str
    edit_url: str
    switch_url: str


def listing(*, q: str = "", family: str = "", offered: str = "", may_change: bool, here: str = "") -> ListPage:
    """Return the procedures that match, by category in the table's order, in one query."""
    rows = Procedure.objects.matching(q).in_order()
    if family:
        rows = rows.filter(family=family)
    if offered:
        rows = (
            rows.filter(is_retired=True) if offered == "retired" else rows.filter(is_offered=offered == "yes", is_retired=False)
        )
    found = [_row(procedure) for procedure in rows]
    groups = tuple(
        Group(label, tuple(row for row in found if row.category == value))
        for value, label in Category.choices
        if any(row.category == value for row in found)
    )
    return ListPage(
        groups=groups,
        found=len(found),
        offered=sum(row.is_offered for row in found),
        is_filtered=bool(q or family or offered),
        may_change=may_change,
        here=here,
    )


def families() -> list[str]:
    """Return the families of the catalogue in alphabetical order."""
    return list(Procedure.objects.order_by("family").values_list("family", flat=True).distinct())


def sheet(procedure: Procedure, *, may_change: bool) -> Sheet:
    """Return everything about one procedure, in one query beyond its own."""
    lengths = {
        NeedLeg.PREP: procedure.prep_minutes,
        NeedLeg.PROCEDURE: procedure.room_minutes,
        NeedLeg.RECOVERY: procedure.recovery_minutes,
        NeedLeg.TURNOVER: procedure.turnover_minutes,
    }
    needs = needs_now(procedure)
    return Sheet(
        name=procedure.name,
        short_name=procedure.short_name,
        code=procedure.code,
        category=procedure.category,
        family=procedure.family,
        is_offered=procedure.is_offered,
        is_retired=procedure.is_retired,
        version=procedure.version,
        legs=tuple(Leg(leg.value, str(leg.label), minutes) for leg, minutes in lengths.items() if minutes),
        stay_minutes=procedure.stay_minutes,
        needs=tuple(_need(need, lengths) for need in needs),
        target=_target(procedure),
        facts=_facts(procedure),
        instructions=tuple(line for line in procedure.instructions.splitlines() if line.strip()),
        notes=procedure.notes,
        edits=_edits(procedure, needs),
        sources=tuple(
            Source(entry.get("title", ""), entry.get("url", ""), entry.get("citation", "")) for entry in procedure.source
        ),
        verified=procedure.verified,
        unverified=", ".join(words(name) for name in procedure.unverified_fields),
        may_change=may_change,
        list_url=reverse("procedures:list"),
        edit_url=reverse("procedures:edit", args=[procedure.public_id]),
        switch_url=reverse("procedures:switch", args=[procedure.public_id]),
    )


def words(name: str) -> str:
    """Return a coded word as a person reads it."""
    return WORDS_FOR.get(name, name.replace("_", " "))


def _row(procedure: Procedure) -> Row:
    return Row(
        name=procedure.name,
        short_name=procedure.short_name,
        code=procedure.code,
        category=procedure.category,
        family=procedure.family,
        family_words=name_of(procedure.family),
        codes=", ".join([*procedure.cpt_primary, *procedure.cpt_add_on, *procedure.hcpcs]),
        minutes=f"{procedure.prep_minutes} + {procedure.room_minutes} + {procedure.recovery_minutes}",
        guidance=str(Guidance(procedure.guidance_default).label),
        is_offered=procedure.is_offered,
        is_retired=procedure.is_retired,
        url=procedure.get_absolute_url(),
        switch_url=reverse("procedures:switch", args=[procedure.public_id]),
    )


def _need(need: dict[str, Any], lengths: dict[NeedLeg, int]) -> Need:
    what = str(NeedKind(need["kind"]).label)
    if need["attribute"]:
        what = f"{what} ({words(need['attribute'])})"
    legs = [NeedLeg(leg) for leg in need["legs"]]
    return Need(what, need["count"], ", ".join(str(leg.label).lower() for leg in legs), sum(lengths[leg] for leg in legs))


def _target(procedure: Procedure) -> tuple[tuple[str, str], ...]:
    groups = levels_offered(procedure)
    levels = "; ".join(f"{group.label}: {', '.join(group.levels)}" for group in groups) or "None to choose"
    if groups and not needs_levels(procedure):
        levels = f"{levels} (may be left open)"
    most = str(procedure.max_levels) if procedure.max_levels else "No usual limit"
    found = [
        ("Regions", ", ".join(ALL_REGIONS.get(region, words(region)) for region in procedure.regions)),
        ("Sides", ", ".join(SIDES.get(side, side) for side in procedure.laterality)),
        ("Levels", levels),
        ("Usual most at once", most),
        ("Remark on levels", procedure.levels_note),
    ]
    return tuple((name, value) for name, value in found if value)


def _facts(procedure: Procedure) -> tuple[tuple[str, str], ...]:
    others = ", ".join(_in_sentence(str(Guidance(word).label)) for word in procedure.guidance_alternatives)
    guidance = str(Guidance(procedure.guidance_default).label)
    bleeding = procedure.get_bleeding_class_display()
    alternative = procedure.bleeding_alternative
    if alternative:
        bleeding = f"{bleeding} ({alternative['system']}: {words(alternative['value'])})"
    found = [
        ("Guidance", f"{guidance}, or {others}" if others else guidance),
        ("Planned sedation", str(Sedation(procedure.planned_sedation).label)),
        ("Sedation in the table", words(procedure.sedation)),
        ("Steroid", words(procedure.steroid)),
        ("Bleeding class", bleeding),
        ("Driver", procedure.get_driver_display()),
        ("Fasting", procedure.get_fasting_display()),
        ("Code numbers", ", ".join(procedure.cpt_primary)),
        ("Add-on code numbers", ", ".join(procedure.cpt_add_on)),
        ("Facility code numbers", ", ".join(procedure.hcpcs)),
        ("Approach", words(procedure.approach)),
        ("Checklist", ", ".join(words(word) for word in procedure.equipment)),
    ]
    return tuple((name, value) for name, value in found if value)


def _in_sentence(label: str) -> str:
    """Return a label as it stands inside a sentence; CT stays CT."""
    return label if label.isupper() else label[0].lower() + label[1:]


def _edits(procedure: Procedure, needs: list[dict[str, Any]]) -> tuple[Edit, ...]:
    loaded = procedure.table_values
    found = [
        Edit(words(name), _value_told(getattr(procedure, name)), _value_told(loaded[name]))
        for name in EDITABLE
        if name in loaded and getattr(procedure, name) != loaded[name]
    ]
    if "needs" in loaded and needs != loaded["needs"]:
        found.append(Edit("needs", _needs_told(needs), _needs_told(loaded["needs"])))
    return tuple(found)


def _value_told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value in (None, "") else str(value)


def _needs_told(needs: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{need['count']} {words(need['attribute'] or need['kind'])} for {' and '.join(need['legs'])}" for need in needs
    )
