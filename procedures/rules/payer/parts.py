"""Read the parts that several types of payer rows share: figures, windows, responses, blocks, and the other rows in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from procedures.rules.dates import Period, Window, period_of
from procedures.rules.findings import Severity
from procedures.rules.payer.blocks import Blocks
from procedures.rules.responses import Response
from procedures.rules.rows import Row
from procedures.rules.shapes import UNITS

Data = Mapping[str, Any]


def number(value: int | float) -> Fraction:
    """Return a figure of a table exactly as it is written."""
    return Fraction(str(value))


def row_of(data: Data) -> Row:
    """Return what a rule keeps of its row."""
    families, procedures = frozenset(data.get("applies_to", ())), frozenset(data.get("procedure_ids", ()))
    return Row(data["id"], Severity(data["severity"]), source_of(data), families, procedures)


def source_of(data: Data) -> str:
    """Return the first source of a row in one line."""
    sources = data.get("source") or ()
    if not isinstance(sources, Sequence) or isinstance(sources, str) or not sources:
        return "the case's own rule"
    first = sources[0]
    return f"{first['title']} {first.get('url', '')}".strip()


@dataclass(frozen=True)
class Companions:
    """The other rows that are in force with a row."""

    rows: Sequence[Data]

    def of(self, kind: str, data: Data) -> Data | None:
        """Return the parameters of the first row of a type that speaks of one of the same families."""
        for other in self.rows:
            if other["type"] == kind and set(other["applies_to"]) & set(data["applies_to"]):
                return other["params"]  # type: ignore[no-any-return]
        return None


def window_of(written: Data | None, default: Window) -> Window:
    """Return the window that a row writes, or the one that its plan defines."""
    if written is None:
        return default
    lengths = {unit: written[unit] for unit in UNITS if unit in written}
    is_inclusive = written.get("window_edge") == "inclusive"
    return Window(written["kind"], period_of(lengths) if lengths else Period(months=12), is_inclusive)


def response_of(params: Data) -> Response:
    """Return what a row asks of a response."""
    pct = params.get("min_improvement_pct", params.get("min_relief_pct"))
    return Response(
        number(pct),
        period_of(params.get("min_duration") or {}),
        tuple(params.get("measure_any_of") or ("pain",)),
        tuple(params.get("measure_all_of") or ()),
        tuple(params.get("plus_any_of") or ()),
        "function_alternative" in params,
    )


def scope_of(reference: str) -> str:
    if "region" in reference:
        return "region"
    return "site" if any(word in reference for word in ("site", "joint", "side", "level")) else "any"


def ceilings(written: Mapping[str, int | float]) -> tuple[tuple[str, Fraction], ...]:
    """Return the ceilings of a row by drug."""
    return tuple((drug, number(most)) for drug, most in sorted(written.items()))


def blocks_of(params: Data) -> Blocks:
    """Return the blocks that a row asks for."""
    families = frozenset(params.get("family_any_of") or (params["family"],))
    pct = number(params.get("min_relief_pct", 0))
    return Blocks(families, params.get("min_count", 1), pct, params.get("consecutive", False))
