"""What the rules say about one case: the request put together from the case, the facts from the floors, then the book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from patients.facts import Known, Reading
from procedures.models import Procedure
from procedures.rules import Facts, Request, Session
from procedures.rules.book import Book
from procedures.rules.offers import Offer, Told, want
from procedures.rules.places import is_level
from scheduling.models import Appointment, Status

OFFICE = "11"
NO_IMAGING = "none"
_WORDS = {
    Status.CANCELLED: "cancelled",
    Status.LEFT_BEFORE_SEEN: "cancelled",
    Status.NO_SHOW: "no_show",
    Status.DISCHARGED: "performed",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done to whom, and when: a case that stands or one that is proposed."""

    procedure: Procedure
    starts_at: datetime
    zone: ZoneInfo
    side: str = ""
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    guidance: str = NO_IMAGING
    sedation: str = "none"
    case: str = ""


def facts_for(wish: Wish, reading: Reading, known: Known, others: Iterable[Appointment], at: datetime) -> Facts:
    """Return the facts for a wish; `others` are the patient's other cases, of which those already on file count once."""
    book = reading.book
    sessions = [session_of(other, book) for other in others if other.public_id not in known.cases]
    families = book.families_by_id if book is not None else None
    return known.facts(request_of(wish, reading.book, known), sessions, at=at, zone=wish.zone, families=families)


def request_of(wish: Wish, book: Book | None, known: Known) -> Request:
    """Return the request as the rules read it."""
    on = wish.starts_at.astimezone(wish.zone).date()
    offer = _offer(wish.procedure, book)
    wanted = want(
        offer,
        book.offers.values() if book is not None else (),
        side=wish.side or "midline",
        levels=wish.levels,
        guidance=wish.guidance,
        told=Told(regions=wish.regions),
    )
    place, state = known.place_of(on)
    return Request(
        on=on,
        procedure=offer.id,
        family=offer.family,
        side=wish.side,
        levels=wish.levels,
        starts_at=wish.starts_at,
        sedation=wish.sedation,
        guidance="" if wish.guidance == NO_IMAGING else wish.guidance,
        regions=wish.regions,
        several=(wanted,),
        place_of_service=place or OFFICE,
        state=state,
        premedication=None,
        case=wish.case,
    )


def session_of(other: Appointment, book: Book | None) -> Session:
    """Return another case of the patient as a session that rules count."""
    offer = _offer(other.procedure, book)
    levels: Sequence[str] = [level for level in other.levels if is_level(level)]
    drug, dose = offer.default_steroid
    return Session(
        on=other.local_date,
        procedure=offer.id,
        family=offer.family,
        status=_WORDS.get(Status(other.status), "booked"),
        side=other.side or "midline",
        levels=tuple(levels),
        role=offer.default_role,
        approach=offer.approach,
        site="" if levels else "_".join(other.regions),
        drug=drug,
        dose_mg=dose,
    )


def _offer(procedure: Procedure, book: Book | None) -> Offer:
    """Return what the book says of a procedure; without a book there is only its name and family."""
    found = book.offers.get(procedure.code) if book is not None else None
    return found or Offer(procedure.code, procedure.family)
