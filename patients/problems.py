"""The problem that is treated, as payers ask about it: the words of the tables, and which papers for the payer are on file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pain_clinic.accounts.actors import Actor
from patients import records
from patients.models import Coverage, Patient, Presentation
from procedures import rulebook
from procedures.families import name_of
from procedures.rules.book import words_required
from procedures.rules.shapes import date_of

KEEP = "patients.keep_payer_papers"
# Fields of payers' rules that hold words for an indication.
INDICATIONS = ("indication_any_of", "conservative_waived_if", "indications", "occipital_indications")
TOLD: Mapping[str, str] = {"not_tolerated": "Conservative care not tolerated"}  # a word that says nothing by itself
SHORT: Mapping[str, str] = {
    "pct": "%", "mri": "MRI", "ct": "CT", "rfa": "radiofrequency ablation", "si": "sacroiliac", "l5": "L5",
}  # fmt: skip
ALSO, CLINIC = "Also on record", "The clinic's own rules"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The papers that rules ask for about one kind of work."""

    title: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A problem treated, in words: for whom it is told what the payer asks about, and no more."""

    row: Presentation
    where: str
    on_file: int
    missing: int


def in_words(word: str) -> str:
    """Return a word of the tables as people read it."""
    told = TOLD.get(word) or " ".join(SHORT.get(part, part) for part in word.split("_"))
    return told[:1].upper() + told[1:]


def indications() -> tuple[str, ...]:
    """Return the words that rules know for an indication, in the order of people's words."""
    held = rulebook.usable_book()
    if held is None:
        return ()
    rows = (*held.payer_rows, *(data for data, _ in held.clinic_rules))
    found = {word for row in rows for name in INDICATIONS for word in (row.get("params") or {}).get(name, ())}
    return tuple(sorted(found, key=in_words))


def papers_known() -> frozenset[str]:
    """Return the words for papers that some rule asks for."""
    held = rulebook.usable_book()
    return held.required_words if held is not None else frozenset()


def wanted(*, patient: Patient, on: date) -> tuple[Wanted, ...]:
    """Return the papers that the rules of this patient's payers ask for, by the work that they are for.

    Rules that hold on a day or later count. Without a payer on file it is all payers. What is on record and no rule asks
    for comes last, so that nothing is lost.
    """
    plans = Coverage.objects.of(patient).order_by("rank", "pk")
    payers = {plan.payer_rules for plan in plans if plan.valid_until is None or on <= plan.valid_until}
    rows = Presentation.objects.of(patient).order_by("pk")
    kept = {word for row in rows for word in (*row.on_file, *row.missing)}
    return tuple(_wanted(payers, kept, on))


def _wanted(payers: Collection[str], kept: Iterable[str], on: date) -> Iterable[Wanted]:
    held = rulebook.usable_book()
    groups: dict[str, list[str]] = {}
    told: set[str] = set()
    for row in held.payer_rows if held is not None else ():
        if (payers and row["payer_rule_set"] not in payers) or not _may_count(row, on):
            continue
        fresh = [word for word in (row.get("params") or {}).get("requires", ()) if word not in told]
        told.update(fresh)
        if fresh:
            family = next(iter(row.get("applies_to") or ("other",)))
            groups.setdefault(_title(family), []).extend(fresh)
    own = words_required([data for data, _ in held.clinic_rules]) if held is not None else set()
    for title, words in ((CLINIC, own), (ALSO, set(kept) - own)):
        groups[title] = sorted(words - told)
    return (Wanted(title, tuple(words)) for title, words in groups.items() if words)


def _title(family: str) -> str:
    name = name_of(family)
    return name[:1].upper() + name[1:]


def _may_count(row: Mapping[str, Any], on: date) -> bool:
    """Say whether a row is switched on and not over on a day."""
    ends = date_of(row.get("effective_to"))
    return bool(row.get("enabled_by_default", True)) and (ends is None or on <= ends)


def problems(*, patient: Patient, on: date) -> tuple[ProblemLine, ...]:
    """Return the problems that are treated on a day, the newest first."""
    rows = Presentation.objects.of(patient).order_by("-recorded_at", "-pk")
    return tuple(
        ProblemLine(row, ", ".join([*row.levels, *filter(None, [row.side])]), len(row.on_file), len(row.missing))
        for row in rows
        if row.ended_on is None or row.ended_on > on
    )


def keep_papers(
    *, problem: Presentation, on_file: Sequence[str], missing: Sequence[str], by: Actor, at: datetime, version: int | None = None
) -> Presentation:
    """Say which papers for the payer are on file and which are known to be missing; nothing else of the problem changes.

    Raises:
        MayNotRecord: the actor may not say so.
        FieldRefused: a paper is said to be both.
        FactStale, NotAFact: as for `records.amend_fact`.
    """
    both = sorted(set(on_file) & set(missing))
    if both:
        raise records.FieldRefused("paper_both", "missing", f"{in_words(both[0])} cannot be on file and missing.")
    changes = {"on_file": list(dict.fromkeys(on_file)), "missing": list(dict.fromkeys(missing))}
    return records.amend_fact(row=problem, changes=changes, by=by, at=at, version=version, under=KEEP)
