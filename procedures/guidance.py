"""Guidance as coded data: by which a procedure may be done, which device each takes, and what is wrong with a chosen one.

The catalogue's word `optional_fluoroscopy` stands for none or fluoroscopy, and `ultrasound_with_documented_reason` for
ultrasound with a reason that is written down. A case stores what was chosen: fluoroscopy, CT, ultrasound or none.
Standard library only.
"""

from __future__ import annotations

from typing import Protocol

from procedures.rules import Finding, Severity, structural

MODALITIES = {"fluoroscopy": "Fluoroscopy", "ct": "CT", "ultrasound": "Ultrasound", "none": "No imaging"}
# The device that has to be free. A CT scanner is not among what the clinic books.
DEVICES = {"fluoroscopy": "c_arm", "ultrasound": "ultrasound"}
IMAGING = frozenset(DEVICES.values())
WITH_REASON = "ultrasound_with_documented_reason"
_MEANT = {"optional_fluoroscopy": ("none", "fluoroscopy"), WITH_REASON: ("ultrasound",)}


class Guided(Protocol):
    """What this module asks of a procedure."""

    name: str
    guidance_default: str
    guidance_alternatives: list[str]


def guidance_offered(procedure: Guided) -> tuple[str, ...]:
    """Return how the procedure may be guided, the usual way first."""
    words = (procedure.guidance_default, *procedure.guidance_alternatives)
    meant = [modality for word in words for modality in _MEANT.get(word, (word,))]
    return tuple(dict.fromkeys(modality for modality in meant if modality in MODALITIES))


def usual(procedure: Guided) -> str:
    """Return the guidance by which the procedure is done unless somebody chooses otherwise."""
    return next(iter(guidance_offered(procedure)), "none")


def guidance_findings(procedure: Guided, guidance: str) -> list[Finding]:
    """Return what is structurally wrong with a chosen guidance; an empty one is the usual one."""
    offered = guidance_offered(procedure)
    if not guidance or guidance in offered:
        return []
    choices = " or ".join(in_sentence(one) for one in offered)
    evidence = {"guidance": guidance, "offered": ", ".join(offered)}
    message = f"{procedure.name} is not done under {in_sentence(guidance)}. Choose {choices}."
    return [structural("guidance_not_offered", message, evidence=evidence)]


def needs_reason(procedure: Guided, guidance: str) -> Finding | None:
    """Return the finding that asks for a documented reason, where the catalogue wants one for this guidance."""
    words = (procedure.guidance_default, *procedure.guidance_alternatives)
    if guidance != "ultrasound" or WITH_REASON not in words or "ultrasound" in words:
        return None
    return Finding(
        code="guidance_reason",
        severity=Severity.NEEDS_OVERRIDE,
        message=f"{procedure.name} under ultrasound needs a documented reason.",
        evidence=(("guidance", guidance), ("usual", usual(procedure))),
        source="catalogue",
    )


def in_sentence(modality: str) -> str:
    """Return a guidance as it stands inside a sentence; CT stays CT."""
    label = MODALITIES.get(modality, modality.replace("_", " "))
    return label if label.isupper() else label[0].lower() + label[1:]
