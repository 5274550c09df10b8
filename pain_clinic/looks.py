"""How things are named and placed wherever they are drawn: status words, colour families, places on the board."""

from __future__ import annotations

from functools import lru_cache

STATUS_WORDS = {
    "booked": "Booked",
    "confirmed": "Confirmed",
    "arrived": "Arrived",
    "preparing": "Preparing",
    "ready": "Ready",
    "in_room": "In room",
    "recovery": "In recovery",
    "discharged": "Discharged",
    "cancelled": "Cancelled",
    "no_show": "No-show",
    "left_before_seen": "Left before seen",
}

SEVERITY_WORDS = {
    "deny": "Not allowed",
    "structural": "Not possible",
    "warn": "Needs a reason",
    "info": "Note",
    "pending": "Waiting for a fact",
}

LEG_WORDS = {
    "prep": "Preparation",
    "procedure": "Procedure",
    "recovery": "Recovery",
    "turnover": "Turnover",
}

HUE_WORDS = {
    "epidural": "Epidural",
    "facet": "Facet and sacroiliac",
    "trigger": "Trigger point",
    "nerve": "Nerve block",
    "ablation": "Ablation",
    "other": "Other",
}

HUE_OF_CATEGORY = {
    "epidural": "epidural",
    "facet": "facet",
    "sacroiliac": "facet",
    "trigger_point": "trigger",
    "nerve_block": "nerve",
    "rfa": "ablation",
}


def hue_of(category: str, family: str) -> str:
    """Return the one of six colour families. Ablation wins over where it is done: the room and the generator make the day."""
    if category == "rfa" or family.endswith(("_rfa", "ablation")):
        return "ablation"
    return HUE_OF_CATEGORY.get(category, "other")


def status_word(status: str) -> str:
    """Return the status as staff say it."""
    return STATUS_WORDS.get(status, status.replace("_", " ").capitalize())


# Places on the board are classes, because the content security policy allows no style attributes.


@lru_cache(maxsize=1024)
def at(slot: int) -> str:
    """Return the classes that put an element at this 5-minute step from the first line drawn."""
    hours, steps = divmod(max(slot, 0), 12)
    return f"at-h{hours} at-m{steps}" if steps else f"at-h{hours}"


@lru_cache(maxsize=1024)
def lasting(span: int) -> str:
    """Return the classes that give an element this many 5-minute steps."""
    hours, steps = divmod(max(span, 1), 12)
    return f"for-h{hours} for-m{steps}" if steps else f"for-h{hours}"
