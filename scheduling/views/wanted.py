"""What is wanted, in the booking page's words: the procedure with its times and needs, and its levels."""

from __future__ import annotations

from collections.abc import Sequence

from procedures.catalogue import needs_under
from procedures.models import Driver, Fasting, NeedKind, Procedure
from scheduling.agenda.shapes import LevelChoice, What

DRIVERS = {Driver.REQUIRED: "Needs a driver.", Driver.REQUIRED_IF_SEDATED: "Needs a driver if sedated.", Driver.NOT_NEEDED: ""}
FASTINGS = {Fasting.NONE_WHEN_LOCAL_ONLY: "", Fasting.ASA_WHEN_SEDATED: "Fasting if sedated."}


def what(procedure: Procedure, guidance: str) -> What:
    """Return what a procedure is and takes, as the booking page says it."""
    told = [need for need in needs_under(procedure, guidance) if need.kind not in (NeedKind.PHYSICIAN, NeedKind.ROOM)]
    needs = [f"{need.count} x {NeedKind(need.kind).label}" if need.count > 1 else str(NeedKind(need.kind).label) for need in told]
    return What(
        code=procedure.code,
        name=procedure.name,
        short_name=procedure.short_name,
        category=procedure.category,
        family=procedure.family,
        minutes=procedure.room_minutes,
        prep=procedure.prep_minutes,
        recovery=procedure.recovery_minutes,
        turnover=procedure.turnover_minutes,
        needs=tuple(dict.fromkeys(needs)),
        driver=DRIVERS.get(Driver(procedure.driver), ""),
        fasting=FASTINGS.get(Fasting(procedure.fasting), ""),
        notes=procedure.notes,
        max_levels=procedure.max_levels or 0,
    )


def levels_hint(procedure: Procedure, levels: Sequence[LevelChoice]) -> str:
    """Return how many levels are usual, in words; empty where there are none."""
    if not levels:
        return ""
    most = (
        f"Usually up to {procedure.max_levels} level{'s' if procedure.max_levels != 1 else ''}: " if procedure.max_levels else ""
    )
    return f"{most}{levels[0].code} to {levels[-1].code}. {procedure.levels_note}".strip()
