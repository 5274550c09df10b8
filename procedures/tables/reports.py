"""What a load of the clinical tables did, or would do, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one procedure: what it was, what the table says now."""

    code: str
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.code}: {self.name}: {told(self.old)} -> {told(self.new)}"


@dataclass(slots=True)
class RuleReport:
    """What a load did with the rows of the rule tables, or with the pathways, or would do; `what` is what a row is called."""

    what: str = "rule"
    added: list[str] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    kept: list[Change] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    row_count: int = 0

    def lines(self) -> list[str]:
        """Return the differences, one a line; a first load of everything is not listed."""
        added = [] if len(self.added) == self.row_count else self.added
        return [
            *(f"added    {self.what} {code}" for code in added),
            *(f"changed  {self.what} {change}" for change in self.changed),
            *(f"kept     {self.what} {self._kept(change)}" for change in self.kept),
            *(f"missing  {self.what} {code}: not in this table any more; still counts, {self.end}" for code in self.missing),
        ]  # fmt: skip

    @staticmethod
    def _kept(change: Change) -> str:
        return f"{change.code}: {change.name}: clinic has {told(change.old)}, table says {told(change.new)}"

    @property
    def end(self) -> str:
        """Return how a row is ended."""
        return "give it a last day" if self.what == "rule" else "switch it off on its page"

    def summary(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.row_count} {self.what} rows in the tables: {len(self.added)} added, {len(self.changed)} fields changed, "
            f"{len(self.kept)} clinic edits kept, {len(self.missing)} missing"
        )


@dataclass(slots=True)
class Report:
    """What a load did, or would do."""

    tables: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    kept: list[Change] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    row_count: int = 0
    rules: RuleReport = field(default_factory=RuleReport)
    pathways: RuleReport = field(default_factory=lambda: RuleReport("pathway"))

    @property
    def did_something(self) -> bool:
        """Say whether any row or table record differs from before."""
        parts = (self, self.rules, self.pathways)
        return bool(self.tables) or any(part.added or part.changed for part in parts)

    def lines(self) -> list[str]:
        """Return the differences, one a line."""
        return [
            *(f"table    {line}" for line in self.tables),
            *(f"added    {code}" for code in self.added),
            *(f"changed  {change}" for change in self.changed),
            *(f"kept     {it.code}: {it.name}: clinic has {told(it.old)}, table says {told(it.new)}" for it in self.kept),
            *(f"missing  {code}: not in this table any more; kept, retire it on its page" for code in self.missing),
            *self.rules.lines(),
            *self.pathways.lines(),
        ]  # fmt: skip

    def summary(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.row_count} procedures in the table: {len(self.added)} added, {len(self.changed)} fields changed, "
            f"{len(self.kept)} clinic edits kept, {len(self.missing)} missing"
        )


def told(value: Any) -> str:
    """Return a value as the report prints it: short, on one line."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "legs" in value[0]:
        return ", ".join(_need_told(need) for need in value)
    text = ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)
    text = " / ".join(text.split("\n")) or "(empty)"
    return text if len(text) <= 120 else f"{text[:117]}..."


def _need_told(need: Mapping[str, Any]) -> str:
    kind = f"{need['kind']}[{need['attribute']}]" if need["attribute"] else need["kind"]
    return f"{need['count']} {kind} ({'+'.join(need['legs'])})"
