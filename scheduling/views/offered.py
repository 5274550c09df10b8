"""What the booking page offers to choose from: procedures, and regions of the body."""

from __future__ import annotations

from procedures import levels as anatomy
from procedures.models import Category, Procedure
from scheduling.agenda.shapes import Choice, RegionChoice
from scheduling.booking import Target


def procedures_offered(chosen: Procedure | None) -> tuple[Choice, ...]:
    """Return the procedures that can be booked, by category."""
    rows = (
        Procedure.objects.offered()
        .in_order()
        .only("code", "name", "short_name", "category", "family", "room_minutes", "cpt_primary")
    )
    offered = tuple(
        Choice(
            each.code,
            each.name,
            chosen is not None and each.pk == chosen.pk,
            note=f"{each.room_minutes} min",
            group=str(Category(each.category).label),
            search=" ".join((each.short_name, each.code.replace("_", " "), each.family, *each.cpt_primary)),
        )
        for each in rows
    )
    return tuple(sorted(offered, key=lambda each: list(Category.labels).index(each.group)))


def regions_to_choose(procedure: Procedure, target: Target) -> tuple[RegionChoice, ...]:
    """Return the regions to choose from; where there is only one there is nothing to choose."""
    offered = anatomy.regions_offered(procedure)
    if offered == anatomy.default_regions(procedure):
        return ()
    return tuple(RegionChoice(each, anatomy.ALL_REGIONS[each], each in target.regions) for each in offered)
