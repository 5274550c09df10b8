"""The families of procedures: a code in the tables, a name for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NAMES: Mapping[str, str] = {
    "adhesiolysis": "adhesiolysis",
    "botulinum": "botulinum toxin",
    "bvn_ablation": "basivertebral nerve ablation",
    "discography": "discography",
    "esi": "epidural steroid injections",
    "facet_cyst": "facet joint cysts",
    "facet_injection": "facet joint injections",
    "facet_rfa": "radiofrequency ablation of facet joint nerves",
    "facet_rfa_cooled": "cooled ablation of facet joint nerves",
    "genicular_block": "genicular nerve blocks",
    "genicular_rfa": "radiofrequency ablation of genicular nerves",
    "ipg_revision": "stimulator generator revisions",
    "it_pump": "spinal drug delivery",
    "joint_injection": "joint injections",
    "mbb_diagnostic": "medial branch blocks",
    "other_neuraxial": "other neuraxial procedures",
    "peripheral_ablation": "ablation of other peripheral nerves",
    "peripheral_nerve_block": "peripheral nerve blocks",
    "pild": "percutaneous lumbar decompression",
    "pns": "peripheral nerve stimulation",
    "prp": "platelet-rich plasma",
    "pulsed_rf": "pulsed radiofrequency",
    "scs_implant": "spinal cord stimulator implants",
    "scs_trial": "spinal cord stimulator trials",
    "scs_trial_followup": "removal of trial leads",
    "si_injection": "sacroiliac joint injections",
    "si_rfa": "radiofrequency ablation of sacroiliac joint nerves",
    "sympathetic_block": "sympathetic blocks",
    "tpi": "trigger point injections",
    "vertebral_augmentation": "vertebral augmentation",
}


def name_of(family: str) -> str:
    """Return a family as it reads within a sentence; one that the clinic added is read from its code."""
    return NAMES.get(family, family.replace("_", " "))


def told(families: Iterable[str]) -> str:
    """Return some families in their order as a text that begins with a capital letter."""
    text = ", ".join(map(name_of, families))
    return text[:1].upper() + text[1:]


def choices(families: Iterable[str]) -> list[tuple[str, str]]:
    """Return families to choose from, by their names."""
    named = ((family, name_of(family)) for family in families)
    return sorted(((family, name[:1].upper() + name[1:]) for family, name in named), key=lambda pair: pair[1])
