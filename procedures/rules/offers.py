"""What the catalogue says about a procedure, and the defaults that it gives to a request or a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from procedures.rules.facts import Wanted
from procedures.rules.places import is_level, region_of

NEED_LEVELS = frozenset(
    {"esi", "mbb_diagnostic", "facet_injection", "facet_cyst", "facet_rfa", "facet_rfa_cooled", "bvn_ablation"}
)
NEED_SIDE_CATEGORIES = frozenset({"facet", "rfa", "sacroiliac"})
NEED_ROLE = frozenset({"facet_ia_cervical", "facet_ia_thoracic", "facet_ia_lumbar", "si_joint_ia"})
DIAGNOSTIC = frozenset({"snrb", "si_lateral_branch_block"})
# Families whose work is a test by what the catalogue calls it: nothing else is done with it.
TESTS = frozenset({"mbb_diagnostic", "genicular_block", "discography"})
DEFAULT_DRUG, DEFAULT_DOSE = "dexamethasone", Fraction(4)
BY_TARGET = "by_target"
_RANKS = ("low", "intermediate", "high")
# By family, how lesions are made; and how hot they are when nothing else is said.
TECHNIQUES = {"facet_rfa": "thermal", "facet_rfa_cooled": "cooled", "pulsed_rf": "pulsed", "si_rfa": "thermal",
              "genicular_rfa": "thermal", "peripheral_ablation": "thermal", "bvn_ablation": "thermal"}  # fmt: skip
TEMPERATURES = {"thermal": Fraction(85), "cooled": Fraction(60), "pulsed": Fraction(42)}


@dataclass(frozen=True)
class Offer:
    """One row of the catalogue, as far as rules need it."""

    id: str
    family: str
    category: str = ""
    approach: str = ""
    codes: frozenset[str] = frozenset()
    regions: tuple[str, ...] = ()
    laterality: tuple[str, ...] = ()
    guidance: str = ""
    has_contrast: bool = False
    steroid: str = ""
    bleeding_class: str = ""
    driver: str = ""
    name: str = ""

    @property
    def needs_levels(self) -> bool:
        """Say whether it cannot be judged without levels."""
        return self.family in NEED_LEVELS and self.approach != "caudal"

    @property
    def needs_side(self) -> bool:
        """Say whether it cannot be judged without a side."""
        return self.category in NEED_SIDE_CATEGORIES or self.approach == "transforaminal"

    @property
    def needs_role(self) -> bool:
        """Say whether it may be diagnostic or therapeutic, so that somebody has to say which."""
        return needs_role(self.id)

    @property
    def default_role(self) -> str:
        """Return the role that it has unless somebody says otherwise."""
        return default_role(self.id, self.family)

    @property
    def written_role(self) -> str:
        """Return the role that a written case means when it says none (`docs/cases.md`)."""
        return "diagnostic" if _is_block(self.id) else "therapeutic"

    @property
    def default_steroid(self) -> tuple[str, Fraction | None]:
        """Return the steroid and the dose that it takes unless somebody says otherwise."""
        return (DEFAULT_DRUG, DEFAULT_DOSE) if self.steroid.startswith("yes") else ("", None)

    def takes(self, level: str) -> bool:
        """Say whether a level lies in its regions."""
        return "any" in self.regions or region_of(level) in self.regions

    def contrast_with(self, guidance: str) -> str:
        """Return the contrast that it takes with some guidance unless somebody says otherwise."""
        return "iodinated" if self.has_contrast and guidance in ("fluoroscopy", "ct") else "none"


def needs_role(code: str) -> bool:
    """Say whether a procedure may be diagnostic or therapeutic, so that somebody has to say which."""
    return code in NEED_ROLE


def default_role(code: str, family: str) -> str:
    """Return the role that a procedure has, booked or performed, unless somebody says otherwise.

    Beside the blocks that the tables call diagnostic these are tests that treat nothing; no rule counts those by role,
    but outcomes do: their relief is that of hours.
    """
    return "diagnostic" if _is_block(code) or family in TESTS else "therapeutic"


def _is_block(code: str) -> bool:
    return code.startswith("mbb_") or code in DIAGNOSTIC


def offer_of(row: Mapping[str, Any]) -> Offer:
    """Return what a valid row of the catalogue says."""
    cpt = row["cpt"]
    return Offer(
        id=row["id"],
        family=row["family"],
        category=row["category"],
        approach=row.get("approach") or "",
        codes=frozenset(code for kind in ("primary", "add_on", "hcpcs") for code in cpt.get(kind, ())),
        regions=tuple(row["regions"]),
        laterality=tuple(row["laterality"]),
        guidance=row["guidance"]["default"],
        has_contrast="contrast" in row["equipment"],
        steroid=row["steroid"],
        bleeding_class=row["bleeding_risk"]["asra_2018"],
        driver=row["driver"],
        name=row.get("short_name") or row.get("name") or "",
    )


def bleeding_class(offer: Offer, levels: Iterable[str], offers: Iterable[Offer], chosen: str = "") -> str:
    """Return the bleeding class of some work; empty where the clinician has to choose it and did not.

    Facet work whose class goes by its target takes that of the thermal facet row of the region, the highest of several.
    """
    if offer.bleeding_class != BY_TARGET:
        return offer.bleeding_class
    if chosen:
        return chosen
    regions = {region_of(level) for level in levels}
    found = [one.bleeding_class for one in offers if one.family == "facet_rfa" and regions & set(one.regions)]
    if offer.category != "rfa" or not found:
        return ""
    return max(found, key=_RANKS.index)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody has said about one procedure that is wanted; an empty or missing part is not said."""

    role: str = ""
    site: str = ""
    drug: str = ""  # "none" for no steroid
    dose_mg: Fraction | None = None
    bilateral_reason: str = ""
    bleeding_class: str = ""
    regions: tuple[str, ...] = ()
    technique: str = ""
    temperature_c: Fraction | None = None
    modic_type: int | None = None
    contrast: str = ""  # "none" for no contrast


NOTHING_TOLD = Told()


def want(
    offer: Offer,
    offers: Iterable[Offer],
    *,
    side: str,
    levels: Iterable[str],
    guidance: str,
    told: Told = NOTHING_TOLD,
) -> Wanted:
    """Return one procedure that is wanted, filled up from the catalogue where nothing is said."""
    held = tuple(level for level in levels if is_level(level))
    drug, dose = offer.default_steroid
    if told.drug:
        drug, dose = ("", None) if told.drug == "none" else (told.drug, told.dose_mg)
    technique = told.technique or TECHNIQUES.get(offer.family, "")
    return Wanted(
        procedure=offer.id,
        family=offer.family,
        side=side,
        levels=held,
        role=told.role or offer.default_role,
        site=told.site or ("" if held else "_".join(told.regions)),
        drug=drug,
        dose_mg=dose,
        bilateral_reason=told.bilateral_reason,
        guidance=guidance,
        contrast=told.contrast or offer.contrast_with(guidance),
        technique=technique,
        temperature_c=TEMPERATURES.get(technique) if told.temperature_c is None else told.temperature_c,
        modic_type=told.modic_type,
        body_areas=told.regions,
        bleeding_class=bleeding_class(offer, held, offers, told.bleeding_class),
        category=offer.category,
        approach=offer.approach,
        codes=offer.codes,
        driver=offer.driver,
        has_drug_told=bool(told.drug) or offer.steroid in ("no", ""),
        has_heat_told=told.temperature_c is not None,
        offered_regions=offer.regions,
        name=offer.name,
    )
