"""Read what was done and what is wanted: a procedure with its details, filled up by the catalogue's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from procedures.cases.parsing import (
    Fields,
    a_day,
    a_list_of,
    a_number,
    a_score,
    a_text,
    a_whole,
    a_word,
    levels,
    yes_no,
)
from procedures.rules.book import Book
from procedures.rules.facts import Score, Session, Wanted
from procedures.rules.offers import BY_TARGET, DEFAULT_DOSE, TECHNIQUES, TEMPERATURES, Offer, bleeding_class

OTHER = Offer("other", "other")
SIDES = ("left", "right", "bilateral", "midline")
ROLES = ("diagnostic", "therapeutic")
A_TECHNIQUE = a_word(("thermal", "cooled", "pulsed", "cryo", "chemical", "laser", "endoscopic", "low_temperature"))


@dataclass(frozen=True)
class SessionRead:
    """A session as read: where it stands in the file, and the dates of its records."""

    path: str
    session: Session
    records: tuple[date, ...]


@dataclass(frozen=True)
class _Target:
    """What a session and a request have in common."""

    offer: Offer
    levels: tuple[str, ...]
    side: str
    role: str
    site: str
    drug: str
    dose_mg: Fraction | None


def _target(fields: Fields, offer: Offer, book: Book) -> _Target:
    for name, needs, words in (
        ("levels", offer.needs_levels, "a level"),
        ("side", offer.needs_side, "a side"),
        ("role", offer.needs_role, "diagnostic or therapeutic"),
    ):
        if needs and not fields.has(name):
            fields.say(name, f"is required for {offer.id} and is missing: {words}")
    held = fields.get("levels", levels, ())
    if offer.needs_levels and fields.has("levels") and fields.data["levels"] == []:
        fields.say("levels", f"expected at least one level for {offer.id}")
    if offer is not OTHER:
        for level in held:
            if not offer.takes(level):
                fields.say("levels", f"{level} is outside the regions of {offer.id}: {', '.join(offer.regions)}")
    drug, dose = _steroid(fields, offer, book)
    return _Target(
        offer,
        held,
        fields.get("side", a_word(SIDES), "midline"),
        fields.get("role", a_word(ROLES), offer.written_role),
        fields.get("site", a_text, ""),
        drug,
        dose,
    )


def _steroid(fields: Fields, offer: Offer, book: Book) -> tuple[str, Fraction | None]:
    drug, dose = offer.default_steroid
    named = fields.get("drug", a_word({*book.steroid_ids, "none"}, "the id of a steroid, or none"), "")
    given = fields.get("dose_mg", a_number(), None)
    if named:
        drug, dose = ("", None) if named == "none" else (named, DEFAULT_DOSE)
    if given is not None:
        if not drug and given > 0:
            fields.say("dose_mg", "is a dose without a drug")
        dose = given if drug else None
    return drug, dose


def read_wanted(fields: Fields, book: Book, *, is_alone: bool) -> Wanted | None:
    """Return one procedure that is asked for; None when it cannot be read, with the problems noted.

    `is_alone`: its details stand among the other fields of the request, whose reader looks for unknown ones.
    """
    named = fields.need("procedure", a_word(book.offers, "the id of a procedure of the catalogue"))
    if named is None:
        fields.taken.update(_DETAILS)
        return None
    offer = book.offers[named]
    target = _target(fields, offer, book)
    guidance = fields.get("guidance", a_word(("fluoroscopy", "ct", "ultrasound", "mri", "none")), offer.guidance)
    technique = fields.get("technique", A_TECHNIQUE, TECHNIQUES.get(offer.family, ""))
    chosen = fields.get("bleeding_class", a_word(("low", "intermediate", "high")), "")
    if chosen and offer.bleeding_class != BY_TARGET:
        fields.say("bleeding_class", f"is only for procedures whose class goes by the target, not {offer.id}")
    wanted = Wanted(
        procedure=offer.id,
        family=offer.family,
        side=target.side,
        levels=target.levels,
        role=target.role,
        site=target.site,
        drug=target.drug,
        dose_mg=target.dose_mg,
        bilateral_reason=fields.get("bilateral_reason", a_text, ""),
        guidance=guidance,
        contrast=fields.get("contrast", a_word(("iodinated", "gadolinium", "none")), offer.contrast_with(guidance)),
        technique=technique,
        temperature_c=fields.get("temperature_c", a_number(0, 1000), TEMPERATURES.get(technique)),
        modic_type=fields.get("modic_type", a_whole(1, 3), 1),
        muscles=fields.get("muscles", a_list_of(a_text), ()),
        body_areas=fields.get("body_areas", a_list_of(a_text), ()),
        bleeding_class=bleeding_class(offer, target.levels, book.offers.values(), chosen),
        category=offer.category,
        approach=offer.approach,
        codes=offer.codes,
        driver=offer.driver,
        offered_regions=offer.regions,
        name=offer.name,
    )
    if not is_alone:
        fields.end()
    return wanted


_DETAILS = (
    "levels", "side", "role", "site", "drug", "dose_mg", "bilateral_reason", "guidance", "contrast", "technique", "temperature_c",
    "modic_type", "muscles", "body_areas", "bleeding_class",
)  # fmt: skip


def read_session(fields: Fields, book: Book) -> SessionRead | None:
    """Return one session of a history; None when it cannot be read, with the problems noted."""
    on = fields.need("date", a_day)
    named = fields.need("procedure", a_word({*book.offers, "other"}, "the id of a procedure of the catalogue, or other"))
    if named is None:
        return None
    offer = book.offers.get(named, OTHER)
    target = _target(fields, offer, book)
    scores, records, has_range = _scores(fields, on or date.min)
    session = Session(
        on=on or date.min,
        procedure=offer.id,
        family=offer.family,
        status=fields.get("status", a_word(("performed", "booked", "cancelled", "no_show")), "performed"),
        side=target.side,
        levels=target.levels,
        is_elsewhere=fields.get("elsewhere", yes_no, False),
        role=target.role,
        approach=offer.approach,
        site=target.site,
        indication=fields.get("indication", a_text, ""),
        drug=target.drug,
        dose_mg=target.dose_mg,
        has_kx=fields.get("kx", yes_no, True),
        scores=scores,
        has_range=has_range,
        function_improved=fields.get("function_improved", yes_no, None),
        medication_reduced=fields.get("medication_reduced", yes_no, None),
        medication_reduction=fields.get("medication_reduction", a_number(-1000, 100), None),
        matched_agent=fields.get("relief_matched_agent", yes_no, None),
        lead_removed_on=fields.get("lead_removed", a_day, None),
        name=offer.name,
    )
    fields.end()
    return None if on is None else SessionRead(fields.path, session, records)


def _scores(fields: Fields, on: date) -> tuple[tuple[Score, ...], tuple[date, ...], bool]:
    """Return the recorded scores, the dates on which they were recorded, and whether one is written as a range."""
    before = fields.get("before", a_score, None)
    after = fields.get("after", a_score, None)
    has_range = any(isinstance(fields.data.get(name), str) for name in ("before", "after"))
    percent = a_number(-1000, 100)
    stated = fields.get("relief", percent, None)
    function = fields.get("function_gain", percent, None)
    held_until = fields.get("held_until", a_day, None)
    computed = _relief(before, after)
    pain = stated if computed is None else computed
    scores = []
    if pain is not None or function is not None:
        scores.append(Score(on, pain, function))
        if held_until is not None and held_until > on:
            scores.append(Score(held_until, pain, function))
    records = [] if held_until is None else [held_until]
    for one in fields.parts("follow_up"):
        day = one.need("date", a_day)
        relief, score = one.get("relief", percent, None), one.get("score", a_score, None)
        has_range = has_range or isinstance(one.data.get("score"), str)
        if one.has("relief") and one.has("score"):
            one.say("score", "expected relief or score, not both")
        gain = one.get("function_gain", percent, None)
        one.end()
        if day is not None:
            records.append(day)
            scores.append(Score(day, relief if score is None else _relief(before, score), gain))
    return tuple(scores), tuple(records), has_range


def _relief(before: Fraction | None, after: Fraction | None) -> Fraction | None:
    """Return the percent relief, unrounded; None where two single scores do not give one."""
    if before is None or after is None or before <= 0:
        return None
    return (before - after) / before * 100
